"""An export as a job: a classifier of a finished run is chosen and calibrated on val, and written
as a folder of its own.

Its record is <root>/runs/export-<folder>-<hash of out> in the root of the run, so that `clean`
keeps the artifacts that the classifier was made from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gist_ray.datasets.manifest import classes_of, read_manifest
from gist_ray.encoders.clip import load_clip, open_clip_name
from gist_ray.errors import UserError
from gist_ray.methods import METHODS
from gist_ray.methods.base.features import read_sample, read_text_set
from gist_ray.methods.base.problem import Classifier as FittedClassifier
from gist_ray.methods.base.stored import load_classifier
from gist_ray.methods.stage import CLASSIFIER_FILE
from gist_ray.predict.calibrate import best_method, calibrate, warnings_of
from gist_ray.predict.classifier import Classifier
from gist_ray.predict.config import ExportConfig
from gist_ray.predict.folder import save_classifier
from gist_ray.run.cluster import relative_in_job
from gist_ray.run.job import Job
from gist_ray.run.stage import Done, Resources, Stage, in_order
from gist_ray.schema import CLASS_TEXTS, num_labelled, stable_id
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.store.reachable import why_unwritable
from gist_ray.study.config import RunConfig
from gist_ray.study.draws import Draw
from gist_ray.study.features import Features
from gist_ray.study.graph import StudyGraph, shown_features
from gist_ray.study.stored import read_run, root_and_name, stored, stored_graph

COMMAND = "export"

Inputs = Mapping[str, Artifact]


def export_job(config: ExportConfig) -> Job:
    """Returns the job that writes the classifier to `config.out`: the one that was measured, from
    the artifact of its fit.

    Raises UserError if the run has no such draw or method, or is not finished.
    """
    problems = relative_in_job({"run": config.run, "out": config.out})
    if why := why_unwritable(config.out):
        problems.append(f"out={config.out}: {why}.")
    if problems:
        raise UserError(problems)
    root, name = root_and_name(config.run)
    run = read_run(root, name)
    source = _source(config, run, stored_graph(run, ArtifactStore(root)))
    export = Stage(
        name=COMMAND,
        kind="calibration",
        group=COMMAND,
        identity={
            **identity_of(config),
            "run": name,
            "features": source.features.name,
            "shots": source.draw.num_shots,
            "seed": source.draw.seed,
        },
        run=lambda inputs, writer, progress: writer.extra.update(
            _calibrated(config, source, inputs)
        ),
        inputs=source.stages,
        resources=Resources(cpus=0),
    )
    stages = in_order([export])
    for stage in stages:
        # A run whose methods see no training image has stored no draw; it is drawn here.
        if stage.name not in (export.name, source.draw.stage.name):
            stored(ArtifactStore(root), stage)

    def finish(store: ArtifactStore, done: Mapping[str, Done]) -> Sequence[str]:
        inputs = {what: done[stage.name].artifact for what, stage in source.stages.items()}
        made = _classifier(source, inputs, done[COMMAND].artifact)
        # Also where the calibration was stored: since then the folder may have been changed, or
        # written by an export with other settings.
        save_classifier(made, open_clip_name(source.features.model.of(inputs)), config.out)
        about = made.about
        named = f"{about['features']}, {about['method']}; val: {about['val']}"
        return [
            f"Classifier: {config.out} ({named})",
            *warnings_of(about["val"], made.threshold),
        ]

    return Job(
        command=COMMAND,
        name=_record_name(config.out),
        config=config,
        root=root,
        stages=stages,
        finish=finish,
        # the run has judged its rows
        max_failed_fraction=1,
        root_setting="run",
    )


@dataclass(frozen=True, kw_only=True)
class Source:
    """The draw, the model and the methods that a classifier is made of. stages: all that is
    read."""

    run: RunConfig
    draw: Draw
    features: Features
    methods: Sequence[str]
    stages: Mapping[str, Stage]


def _source(config: ExportConfig, run: RunConfig, graph: StudyGraph) -> Source:
    name = config.features or shown_features(run)
    shots = graph.num_shots[-1] if config.shots is None else config.shots
    seed = run.study.seeds[0] if config.seed is None else config.seed
    known = sorted({key.features for key in graph.results})
    asked = None if shots == "full" else shots
    if name not in known or asked not in graph.num_shots or seed not in run.study.seeds:
        raise UserError(
            f"run={config.run}: has no features={name} shots={shots} seed={seed}. It has the "
            f"features {', '.join(known)}, shots {[s or 'full' for s in graph.num_shots]} and "
            f"seeds {run.study.seeds}."
        )
    if config.method not in ("best", *run.methods):
        raise UserError(
            f"method={config.method}: is none of the run's, which are {', '.join(run.methods)}."
        )
    methods = list(run.methods) if config.method == "best" else [config.method]
    if len(methods) > 1 and not num_labelled(graph.manifest, "val"):
        raise UserError(
            f"method=best: chooses by val, and the run has no val images. Name one of its methods, "
            f"which are {', '.join(methods)}."
        )
    results = {method: graph.result(name, method, shots=asked, seed=seed) for method in methods}
    first = results[methods[0]]
    # Methods that no draw changes have the first draw of the run.
    draws = [r.draw for key, r in graph.results.items() if (key.shots, key.seed) == (asked, seed)]
    draw, features = [*draws, first.draw][0], first.features
    return Source(
        run=run,
        draw=draw,
        features=features,
        methods=methods,
        stages={
            "manifest": graph.data.stage,
            "shots": draw.stage,
            "image_embeddings": features.images,
            **features.inputs_of([CLASS_TEXTS]),
            **features.model.inputs,
            **{_fit(method): result.fit for method, result in results.items()},
        },
    )


def _fit(method: str) -> str:
    """Returns the name of a method's fit among the inputs."""
    return f"fit {method}"


def _record_name(out: str) -> str:
    """Returns the name of the record. Folders of one name in two places have a record each."""
    place = storage.absolute(out)
    return f"{COMMAND}-{place.rsplit('/', 1)[-1]}-{stable_id(place)[:6]}"


def _calibrated(config: ExportConfig, source: Source, inputs: Inputs) -> dict[str, Any]:
    """Returns the chosen method and its calibration, as plain values."""
    manifest, shots = read_manifest(inputs["manifest"]), inputs["shots"].read()
    _, val = read_sample(manifest, shots, inputs["image_embeddings"])
    fitted = {method: _fitted(method, inputs) for method in source.methods}
    method = source.methods[0] if len(source.methods) == 1 else best_method(fitted, val)
    calibration = calibrate(fitted[method], val, config.target_accuracy)
    return {"method": method, "calibration": asdict(calibration)}


def _fitted(method: str, inputs: Inputs) -> FittedClassifier:
    uri = inputs[_fit(method)].file(CLASSIFIER_FILE)
    return load_classifier(uri, METHODS[method].classifier)


def _classifier(source: Source, inputs: Inputs, chosen: Artifact) -> Classifier:
    """Returns the classifier of the run's model, the chosen fit and its calibration."""
    method, calibration = chosen.info["method"], chosen.info["calibration"]
    texts = read_text_set(
        inputs[f"texts {CLASS_TEXTS}"].read(), inputs[f"text_embeddings {CLASS_TEXTS}"]
    )
    return Classifier(
        clip=load_clip(source.features.model.of(inputs)),
        fitted=_fitted(method, inputs),
        method=method,
        class_names=[name for _, name in classes_of(read_manifest(inputs["manifest"]))],
        class_texts=texts,
        temperature=calibration["temperature"],
        threshold=calibration["threshold"],
        limits=source.run.embed.limits,
        about={
            "run": source.run.name,
            "features": source.features.name,
            "shots": source.draw.num_shots,
            "seed": source.draw.seed,
            "method": method,
            "val": calibration["on_val"],
            "versions": chosen.info["versions"],
        },
    )
