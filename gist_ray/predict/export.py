"""From a finished run to a classifier: its model, one head, calibrated on val."""

import numpy as np
import pyarrow as pa
from scipy.special import softmax

from gist_ray.encoders.clip import load_clip, open_clip_name
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.evaluation.calibration import abstention_threshold, fit_temperature
from gist_ray.evaluation.evaluate import LabelledImages, fit_linear_probe
from gist_ray.evaluation.metrics import compute_metrics
from gist_ray.finetune.job import MODEL_FOLDER as TUNED_MODEL
from gist_ray.methods.heads import Head, build_heads, logits_of
from gist_ray.operate.retry_run import read_config
from gist_ray.predict.classifier import Classifier
from gist_ray.predict.config import ExportConfig
from gist_ray.predict.folder import save_classifier
from gist_ray.run.flow import Stage
from gist_ray.run.runs import RUNS
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, package_versions
from gist_ray.study.comparisons import shown_training
from gist_ray.study.config import RunConfig
from gist_ray.study.evaluation import read_features
from gist_ray.study.graph import Draw, RunGraph, build_graph


def export_classifier(config: ExportConfig) -> Classifier:
    """Write the classifier to `config.out` and return it. Raises UserError if the run has no such
    draw, or is not finished."""
    root, name_of_run = _root_and_name(config.run)
    run, store = read_config(root, name_of_run), ArtifactStore(root)
    graph = build_graph(run, store)
    training, num_shots, seed = draw = _draw(config, run, graph)
    stage = next(s for s in graph.stages if s.key == graph.evaluations[draw])
    inputs = {name: _stored(store, source) for name, source in stage.inputs.items()}
    class_names = _class_names(graph.manifest)
    features = read_features(graph.manifest, inputs, len(class_names))
    heads = build_heads(
        fit_linear_probe(features.train, features.val, len(class_names), seed, run.evaluation),
        features.class_texts,
        features.class_names,
        features.logit_scale,
        run.evaluation.best_texts_m,
    )
    name = config.head if config.head != "best" else _best(heads, features.val)
    temperature, threshold, on_val = _calibrate(heads[name], features.val, config.target_accuracy)
    model = _model(run, stage, store)
    clip = load_clip(model)
    made = Classifier(
        clip,
        heads[name],
        class_names,
        features.class_texts,
        temperature,
        threshold,
        run.embed.limits,
        about={
            "run": run.name,
            "training": training,
            "shots": num_shots,
            "seed": seed,
            "head": name,
            "val": on_val,
            "versions": package_versions(),
        },
    )
    save_classifier(made, open_clip_name(model), config.out)
    return made


def _root_and_name(folder: str) -> tuple[str, str]:
    root, runs, name = storage.absolute(folder).rsplit("/", 2)
    if runs != RUNS:
        raise UserError(f"run={folder}: is no folder of a run, <root>/{RUNS}/<name>.")
    return root, name


def _draw(config: ExportConfig, run: RunConfig, graph: RunGraph) -> Draw:
    training = config.training or shown_training(run)
    shots = run.study.shots[-1] if config.shots is None else config.shots
    seed = run.study.seeds[0] if config.seed is None else config.seed
    draw = (training, None if shots == "full" else shots, seed)
    if draw not in graph.evaluations:
        trainings = sorted({name for name, _, _ in graph.evaluations})
        raise UserError(
            f"run={config.run}: has no training={training} shots={shots} seed={seed}. It has the "
            f"trainings {', '.join(trainings)}, shots {run.study.shots} and seeds "
            f"{run.study.seeds}."
        )
    return draw


def _stored(store: ArtifactStore, stage: Stage) -> Artifact:
    found = store.find(stage.kind, stage.fingerprint)
    if found is None:
        raise UserError(
            f"{stage.key}: is not stored in {store.root}. Run the pipeline to its end first; if it "
            "ran, its data or its model has changed since."
        )
    return found


def _class_names(manifest: pa.Table) -> list[str]:
    labelled = manifest.select(["label", "class_name"]).drop_null()
    pairs = labelled.group_by(["label", "class_name"]).aggregate([]).to_pylist()
    return [row["class_name"] for row in sorted(pairs, key=lambda row: row["label"])]


def _best(heads: dict[str, Head], val: LabelledImages) -> str:
    """The head with the highest val accuracy, of equal ones the lower log-loss."""
    if not len(val.labels):
        raise UserError("head=best needs val images and the run has none. Name a head.")

    def goodness(name: str) -> tuple[float, float]:
        logits = logits_of(heads[name], val.features)
        is_right = logits.argmax(axis=1) == val.labels
        return float(is_right.mean()), -_log_loss(logits, val.labels, 1.0)

    return max(heads, key=goodness)


def _calibrate(
    head: Head, val: LabelledImages, target_accuracy: float
) -> tuple[float, float, dict[str, object]]:
    """Temperature, threshold, and how the head does on val with them."""
    if not len(val.labels):
        return 1.0, 0.0, {"num_images": 0}
    logits = logits_of(head, val.features)
    temperature = fit_temperature(logits, val.labels)
    probabilities = softmax(logits / temperature, axis=1)
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == val.labels
    threshold = abstention_threshold(confidence, is_right, target_accuracy)
    answered = confidence >= threshold
    return (
        temperature,
        threshold,
        {
            "num_images": len(val.labels),
            "target_accuracy": target_accuracy,
            "log_loss": _log_loss(logits, val.labels, temperature),
            "log_loss_uncalibrated": _log_loss(logits, val.labels, 1.0),
            "answered": float(answered.mean()),
            "accuracy_of_answered": float(is_right[answered].mean()) if answered.any() else None,
            **compute_metrics(probabilities, val.labels),
        },
    )


def _log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Mean over the images; a class that cannot be predicted costs -log of the least float."""
    chances = softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chances, np.finfo(np.float64).tiny)).mean())


def _model(run: RunConfig, evaluation: Stage, store: ArtifactStore) -> ClipConfig:
    """What embedded the images of the evaluation."""
    tuned = evaluation.inputs["image_embeddings"].inputs.get("tuned")
    if tuned is None:
        return run.clip
    return ClipConfig(model=f"local-dir:{_stored(store, tuned).file(TUNED_MODEL)}")
