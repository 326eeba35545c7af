"""What a finished run leaves in runs/<name>/: stages, results, report."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa
import yaml
from rich.console import Console

from gist_ray.report.console import results_table
from gist_ray.report.data import ReportData, StageRow
from gist_ray.report.render import render
from gist_ray.run.environment import environment
from gist_ray.run.flow import Done
from gist_ray.schema import ERRORS
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.comparisons import (
    HEADS,
    Difference,
    collect_metrics,
    compare_over_shots,
    compare_trainings,
    read_predictions,
    summarise,
)
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import FROZEN, RunGraph, shown_training
from gist_ray.study.statistics import statistics_tables


def write_results(
    config: RunConfig, store: ArtifactStore, graph: RunGraph, done: Mapping[str, Done]
) -> str:
    """Collect, print and write the results; returns the run's folder."""
    folder = storage.join(store.root, "runs", config.name)
    confidence = config.evaluation.confidence
    artifacts = {key: entry.artifact for key, entry in done.items()}
    metrics = collect_metrics(graph, artifacts)
    summary = summarise(config, metrics)
    differences = compare_trainings(config, graph, artifacts)
    over_shots = compare_over_shots(config, graph, artifacts)
    config_yaml = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
    stages = [_stage_row(entry) for entry in done.values()]
    console = Console()
    console.print()
    console.print(results_table(summary, confidence=confidence))
    for row in differences:
        console.print(difference_line(row), highlight=False, soft_wrap=True)
    for row in over_shots:
        line = difference_line(row).replace(shots_name(None), "over all shots", 1)
        console.print(line, highlight=False, soft_wrap=True)
    storage.write_json(storage.join(folder, "stages.json"), stages)
    storage.write_parquet(storage.join(folder, "metrics.parquet"), metrics)
    storage.write_json(
        storage.join(folder, "summary.json"),
        {
            "confidence": confidence,
            "summary": summary,
            "differences": differences,
            "differences_over_shots": over_shots,
        },
    )
    shown = shown_training(config)
    shots, seed = config.study.shots[-1], config.study.seeds[0]
    last = graph.evaluations[shown, None if shots == "full" else shots, seed]
    errors = [entry.artifact.read_errors() for entry in done.values()]
    data = ReportData(
        name=config.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        environment=environment(),
        config_yaml=config_yaml,
        metrics=metrics,
        summary=summary,
        differences=[*differences],
        differences_over_shots=[*over_shots],
        manifest=graph.manifest,
        stages=stages,
        confidence=confidence,
        predictions=read_predictions(artifacts[last], HEADS[0]),
        predictions_of=f"{shown}/{HEADS[0]}, {last.removeprefix(f'evaluate {shown} ')}",
        errors=pa.concat_tables([ERRORS.empty_table(), *errors]),
        headline=(f"{shown}/{HEADS[0]}", f"{FROZEN}/{HEADS[0]}"),
        pairs_imported=config.texts.use_pairs and shown == "gist",
        **_matching_tables(graph.statistics, done),
    )
    storage.write_text(storage.join(folder, "report.html"), render(data))
    return folder


def difference_line(row: Difference) -> str:
    """Such as "5-shot: gist/linear_probe - frozen/linear_probe = +3.1 points (+1.2 to +5.0); seeds
    +3.0 +3.2"."""
    pair = f"{row['method_a']} - {row['method_b']}"
    line = f"{shots_name(row['shots'])}: {pair} = {100 * row['mean']:+.1f} points"
    if row["ci_low"] is not None and row["ci_high"] is not None:
        line += f" ({100 * row['ci_low']:+.1f} to {100 * row['ci_high']:+.1f})"
    if len(row["per_seed"]) > 1:
        line += "; seeds " + " ".join(f"{100 * value:+.1f}" for value in row["per_seed"])
    return line


def shots_name(shots: int | None) -> str:
    return f"{shots}-shot" if shots else "all images"


def _matching_tables(key: str | None, done: Mapping[str, Done]) -> dict[str, pa.Table]:
    """Texts, matches and their statistics; nothing where there is no match."""
    if key is None:
        return {}
    artifacts = {name: done[stage.key].artifact for name, stage in done[key].stage.inputs.items()}
    return {
        "texts": artifacts["texts"].read(),
        "matches": artifacts["matches"].read(),
        **statistics_tables(done[key].artifact),
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
