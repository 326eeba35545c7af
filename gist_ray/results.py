"""What a finished run leaves in runs/<name>/: config, fingerprints, metrics, report."""

import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml
from rich.console import Console

from gist_ray import storage
from gist_ray.artifacts import Artifact, ArtifactStore, package_versions
from gist_ray.config import RunConfig
from gist_ray.evaluation.comparison import compare, summarise_seeds
from gist_ray.flow import Done
from gist_ray.matching.inputs import gather_inputs
from gist_ray.matching.statistics import match_statistics
from gist_ray.report.console import results_table
from gist_ray.report.data import DifferenceRow, ReportData, StageRow, SummaryRow
from gist_ray.report.render import render
from gist_ray.schema import ERRORS, METRICS, PREDICTIONS
from gist_ray.stages import FROZEN, RunGraph

HEADLINE = "top1"
HEADS = ("linear_probe", "zero_shot_best_texts")
"""What trainings are compared by, pair by pair."""


def write_results(
    config: RunConfig, store: ArtifactStore, graph: RunGraph, done: Mapping[str, Done]
) -> str:
    """Collect, print and write the results; returns the run's folder."""
    folder = storage.join(store.root, "runs", config.name)
    artifacts = {key: entry.artifact for key, entry in done.items()}
    metrics = collect_metrics(graph, artifacts)
    summary = summarise(config, metrics)
    differences = compare_trainings(config, graph, artifacts)
    config_yaml = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
    stages = [_stage_row(entry) for entry in done.values()]
    console = Console()
    console.print()
    console.print(results_table(summary))
    for row in differences:
        console.print(_difference_line(row))
    storage.write_text(storage.join(folder, "config.yaml"), config_yaml)
    storage.write_json(storage.join(folder, "stages.json"), stages)
    storage.write_parquet(storage.join(folder, "metrics.parquet"), metrics)
    storage.write_json(
        storage.join(folder, "summary.json"), {"summary": summary, "differences": differences}
    )
    shown = _shown_training(config)
    last = (shown, *_last_draw(config))
    data = ReportData(
        name=config.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        environment=environment(),
        config_yaml=config_yaml,
        metrics=metrics,
        summary=summary,
        differences=differences,
        manifest=graph.manifest,
        stages=stages,
        predictions=_predictions(artifacts[graph.evaluations[last]], HEADS[0]),
        predictions_of=f"{shown}/{HEADS[0]}, {last[1] or 'all'} shots, seed {last[2]}",
        errors=pa.concat_tables([ERRORS.empty_table(), *(a.read_errors() for a in artifacts.values())]),
        headline=(f"{shown}/{HEADS[0]}", f"{FROZEN}/{HEADS[0]}"),
        **_matching_tables(config, graph, done),
    )
    storage.write_text(storage.join(folder, "report.html"), render(data))
    return folder


def collect_metrics(graph: RunGraph, artifacts: Mapping[str, Artifact]) -> pa.Table:
    """METRICS of all evaluations. The untrained model's zero-shot heads depend on no draw: they are
    kept once, without shots and seed."""
    tables = []
    have_zero_shot = False
    for (training, _, _), key in graph.evaluations.items():
        found = artifacts[key].read()
        if training == FROZEN:
            is_zero_shot = pc.match_substring(found.column("method"), "/zero_shot")
            if not have_zero_shot:
                tables.append(_without_draw(found.filter(is_zero_shot)))
                have_zero_shot = True
            found = found.filter(pc.invert(is_zero_shot))
        tables.append(found)
    return pa.concat_tables(tables)


def _without_draw(metrics: pa.Table) -> pa.Table:
    for name in ("shots", "seed"):
        index = METRICS.get_field_index(name)
        metrics = metrics.set_column(index, METRICS.field(index), pa.nulls(len(metrics), pa.int32()))
    return metrics.filter(pc.equal(metrics.column("split"), "test"))


def summarise(config: RunConfig, metrics: pa.Table) -> list[SummaryRow]:
    """Test metrics over seeds; what has no seed keeps its interval over test images."""
    test = metrics.filter(pc.equal(metrics.column("split"), "test"))
    over_seeds = summarise_seeds(test, config.evaluation)
    without_seed = test.filter(pc.is_null(test.column("seed")))
    return [
        {
            "method": row["method"],
            "shots": row["shots"],
            "metric": row["metric"],
            "mean": row["value"],
            "ci_low": row["ci_low"],
            "ci_high": row["ci_high"],
            "num_seeds": num_seeds,
        }
        for table, num_seeds in ((over_seeds, len(config.study.seeds)), (without_seed, 1))
        for row in table.to_pylist()
    ]


def compare_trainings(
    config: RunConfig, graph: RunGraph, artifacts: Mapping[str, Artifact]
) -> list[DifferenceRow]:
    """The first training less each other one and the frozen model, on the same draws."""
    shown = _shown_training(config)
    rows: list[DifferenceRow] = []
    for head in HEADS:
        for choice in config.study.shots:
            shots = None if choice == "full" else choice

            def predictions(training: str, head: str = head, shots: int | None = shots) -> Any:
                return {
                    seed: _predictions(artifacts[graph.evaluations[training, shots, seed]], head)
                    for seed in config.study.seeds
                }

            for other in (FROZEN, *config.study.trainings):
                if other == shown:
                    continue
                found = compare(
                    predictions(shown), predictions(other), config.evaluation, config.seed
                )
                rows.append(
                    {
                        "method_a": f"{shown}/{head}",
                        "method_b": f"{other}/{head}",
                        "shots": shots,
                        "metric": HEADLINE,
                        "mean": found.mean,
                        "ci_low": found.low,
                        "ci_high": found.high,
                        "per_seed": [float(value) for value in found.per_seed],
                    }
                )
    return rows


def environment() -> dict[str, str]:
    """Hardware, commit and versions, for the report and the results table."""
    found = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} CPUs",
        "system": platform.platform(terse=True),
    }
    if commit := _commit():
        found["commit"] = commit
    return {**found, **package_versions()}


def _commit() -> str:
    """The repository's commit, where the package runs from a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        result = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def _shown_training(config: RunConfig) -> str:
    trainings: list[str] = list(config.study.trainings)
    return "gist" if "gist" in trainings else (trainings or [FROZEN])[0]


def _last_draw(config: RunConfig) -> tuple[int | None, int]:
    shots = config.study.shots[-1]
    return (None if shots == "full" else shots), config.study.seeds[0]


def _predictions(artifact: Artifact, head: str) -> pa.Table:
    uri = artifact.file(f"predictions/{head}.parquet")
    return storage.read_parquet(uri) if storage.exists(uri) else PREDICTIONS.empty_table()


def _matching_tables(
    config: RunConfig, graph: RunGraph, done: Mapping[str, Done]
) -> dict[str, pa.Table]:
    """Texts, matches and their statistics of the training that the report is about."""
    key = graph.matching_of.get((_shown_training(config), config.study.seeds[0]))
    if key is None:
        return {}
    inputs = {name: stage.key for name, stage in done[key].stage.inputs.items()}
    names = ("manifest", "image_embeddings", "texts", "text_embeddings")
    tables = {name: done[inputs[name]].artifact.read() for name in names}
    matches = done[key].artifact.read()
    statistics = match_statistics(gather_inputs(*(tables[name] for name in names)), matches)
    return {
        "texts": tables["texts"],
        "matches": matches,
        "text_statistics": statistics.texts,
        "class_statistics": statistics.classes,
        "image_statistics": statistics.images,
    }


def _stage_row(done: Done) -> StageRow:
    counts = done.artifact.counts
    return {
        "stage": done.stage.kind,
        "key": done.stage.key,
        "fingerprint": done.artifact.fingerprint,
        "rows_in": counts["rows_in"],
        "rows_ok": counts["rows_ok"],
        "failed": counts["failed"],
        "seconds": done.artifact.info["seconds"],
        "cached": done.was_stored,
        "inputs": [source.key for source in done.stage.inputs.values()],
    }


def _difference_line(row: DifferenceRow) -> str:
    shots = f"{row['shots']}-shot" if row["shots"] else "all images"
    low, high = row["ci_low"] or 0.0, row["ci_high"] or 0.0
    return (
        f"{shots}: {row['method_a']} - {row['method_b']} = {100 * row['mean']:+.1f} points "
        f"({100 * low:+.1f} to {100 * high:+.1f})"
    )
