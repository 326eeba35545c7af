"""The results of a finished run in runs/<name>/: stages, metrics, report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa
import yaml
from rich.console import Console

from gist_ray.evaluation.predictions import read_predictions
from gist_ray.matching.stage import statistics_tables
from gist_ray.report.console import results_table
from gist_ray.report.data import ReportData, StageRow
from gist_ray.report.render import render
from gist_ray.report.slices import slice_tables
from gist_ray.report.wording import about_no_test, pair_label, split_label
from gist_ray.run.environment import environment
from gist_ray.run.stage import Done
from gist_ray.schema import ERRORS, num_labelled, test_sets
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.comparisons import (
    Difference,
    collect_metrics,
    compare_features,
    compare_over_shots,
    compared_methods,
    corrected,
    summarise,
)
from gist_ray.study.config import RunConfig
from gist_ray.study.features import FROZEN
from gist_ray.study.graph import StudyGraph, shown_features
from gist_ray.study.slicing import compare_slices

Finished = Mapping[str, Done]


def write_results(
    config: RunConfig,
    store: ArtifactStore,
    graph: StudyGraph,
    *,
    done: Finished,
    about: Sequence[str],
) -> Sequence[str]:
    """Collects, prints and writes the results; returns the lines that say where they are.

    about: lines on what was understood of the data.
    """
    folder = storage.join(store.root, "runs", config.name)
    confidence = config.evaluation.confidence
    artifacts = {name: entry.artifact for name, entry in done.items()}
    metrics = collect_metrics(graph, artifacts)
    summary = summarise(config, metrics)
    at_shots = compare_features(config, graph, artifacts)
    every = corrected([*at_shots, *compare_over_shots(config, graph, artifacts)])
    differences, over_shots = every[: len(at_shots)], every[len(at_shots) :]
    slices = compare_slices(config, graph, artifacts)
    config_yaml = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
    stages = [_stage_row(entry) for entry in done.values()]
    console = Console()
    console.print()
    tests = test_sets(graph.manifest)
    no_test = "" if tests else about_no_test(num_labelled(graph.manifest, "val"))
    splits = tests or ["val"]
    for split in splits if metrics.num_rows else []:
        console.print(results_table(summary, split=split, confidence=confidence))
    for row in differences:
        console.print(difference_line(row), highlight=False, soft_wrap=True)
    for row in over_shots:
        line = difference_line(row, over="over all shots")
        console.print(line, highlight=False, soft_wrap=True)
    for split in splits:
        for sliced in slice_tables(slices, split, confidence):
            on = "" if split == "test" else f"{split_label(split)}: "
            console.print(f"{on}{sliced.sentence}", highlight=False, markup=False, soft_wrap=True)
    if no_test:
        console.print(no_test, highlight=False, soft_wrap=True)
    storage.write_json(storage.join(folder, "stages.json"), stages)
    storage.write_parquet(storage.join(folder, "metrics.parquet"), metrics)
    storage.write_json(
        storage.join(folder, "summary.json"),
        {
            "confidence": confidence,
            "summary": summary,
            "differences": differences,
            "differences_over_shots": over_shots,
            "slices": slices,
        },
    )
    shown, method = shown_features(config), compared_methods(config)[0]
    last = graph.result(shown, method, shots=graph.num_shots[-1], seed=config.study.seeds[0])
    predicted = artifacts[(last.predict or last.fit).name]
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
        slices=slices,
        manifest=graph.manifest,
        about=about,
        stages=stages,
        confidence=confidence,
        split=splits[0],
        no_test=no_test,
        predictions=read_predictions(predicted, splits[0]),
        predictions_of=f"{pair_label((shown, method))}, {last.draw.name}",
        errors=pa.concat_tables([ERRORS.empty_table(), *errors]),
        headline=((shown, method), (FROZEN, method)),
        pairs_imported=config.texts.use_pairs and shown == "gist",
        **_matching_tables(graph, done),
    )
    uri = storage.join(folder, "report.html")
    storage.write_text(uri, render(data))
    return [f"Report: {uri}"]


def difference_line(row: Difference, over: str = "") -> str:
    """Returns a line such as "5-shot: gist linear_probe - frozen linear_probe = +3.1 points (+1.2
    to +5.0); seeds +3.0 +3.2"."""
    a, b = (f"{row[f'features_{x}']} {row[f'method_{x}']}" for x in "ab")  # type: ignore[literal-required]
    where = "" if row["split"] == "test" else f" on {row['split']}"
    line = f"{over or shots_name(row['shots'])}{where}: {a} - {b} = {100 * row['mean']:+.1f} points"
    if row["ci_low"] is not None and row["ci_high"] is not None:
        line += f" ({100 * row['ci_low']:+.1f} to {100 * row['ci_high']:+.1f})"
    if row["detectable"] is not None:
        line += f"; could have shown {100 * row['detectable']:.1f} points or more"
    if len(row["per_seed"]) > 1:
        line += "; seeds " + " ".join(f"{100 * value:+.1f}" for value in row["per_seed"])
    return line


def shots_name(shots: int | None) -> str:
    return f"{shots}-shot" if shots else "all images"


def _matching_tables(graph: StudyGraph, done: Finished) -> dict[str, pa.Table]:
    """Returns the texts, the matches and their statistics; {} where the run has no match."""
    if graph.statistics is None:
        return {}
    stage = graph.statistics
    artifacts = {name: done[source.name].artifact for name, source in stage.inputs.items()}
    return {
        "texts": artifacts["texts"].read(),
        "matches": artifacts["matches"].read(),
        **statistics_tables(done[stage.name].artifact),
    }


def _stage_row(done: Done) -> StageRow:
    counts = done.artifact.counts
    return {
        "name": done.stage.name,
        "kind": done.stage.kind,
        "group": done.stage.group,
        "fingerprint": done.artifact.fingerprint,
        "rows_in": counts["rows_in"],
        "rows_ok": counts["rows_ok"],
        "failed": counts["failed"],
        "seconds": done.artifact.info["seconds"],
        "cached": done.was_stored,
        "inputs": [source.name for source in done.stage.inputs.values()],
    }
