"""From a finished run to a classifier: its model and one fitted method, calibrated on val."""

import numpy as np
from scipy.special import softmax

from gist_ray.datasets.manifest import classes_of
from gist_ray.encoders.clip import load_clip, open_clip_name
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.embedded import MODEL_FOLDER, Model
from gist_ray.errors import UserError
from gist_ray.evaluation.calibration import abstention_threshold, fit_temperature
from gist_ray.evaluation.metrics import compute_metrics
from gist_ray.methods import METHODS
from gist_ray.methods.base.features import read_sample, read_text_set
from gist_ray.methods.base.problem import Classifier as FittedClassifier
from gist_ray.methods.base.problem import Split
from gist_ray.methods.base.stored import load_classifier
from gist_ray.methods.stage import CLASSIFIER_FILE
from gist_ray.predict.classifier import Classifier
from gist_ray.predict.config import ExportConfig
from gist_ray.predict.folder import save_classifier
from gist_ray.schema import CLASS_TEXTS
from gist_ray.store.artifacts import ArtifactStore, package_versions
from gist_ray.study.comparisons import num_shots
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import Result, StudyGraph, build_graph, shown_features
from gist_ray.study.stored import read_run, root_and_name, stored


def export_classifier(config: ExportConfig) -> Classifier:
    """Writes the classifier to `config.out` and returns it: the one that was measured, from the
    artifact of its fit.

    Raises UserError if the run has no such draw or method, or is not finished.
    """
    root, name = root_and_name(config.run)
    run, store = read_run(root, name), ArtifactStore(root)
    graph = build_graph(run, store)
    results = _results(config, run, graph)
    features = next(iter(results.values())).features
    draw = next(iter(results.values())).draw
    shots = stored(store, draw.stage).read()
    _, val = read_sample(graph.manifest, shots, stored(store, features.images))
    fitted = {name: _fitted(store, result) for name, result in results.items()}
    method = config.method if config.method != "best" else _best(fitted, val)
    texts = read_text_set(
        stored(store, features.texts[CLASS_TEXTS]).read(),
        stored(store, features.text_embeddings[CLASS_TEXTS]),
    )
    temperature, threshold, on_val = _calibrate(fitted[method], val, config.target_accuracy)
    model = _model(store, features.model)
    made = Classifier(
        load_clip(model),
        fitted[method],
        method,
        [name for _, name in classes_of(graph.manifest)],
        texts,
        temperature,
        threshold,
        run.embed.limits,
        about={
            "run": run.name,
            "features": features.name,
            "shots": draw.num_shots,
            "seed": draw.seed,
            "method": method,
            "val": on_val,
            "versions": package_versions(),
        },
    )
    save_classifier(made, open_clip_name(model), config.out)
    return made


def _results(config: ExportConfig, run: RunConfig, graph: StudyGraph) -> dict[str, Result]:
    """{method: its result} on the features and draw that are asked for."""
    features = config.features or shown_features(run)
    shots = num_shots(run)[-1] if config.shots is None else config.shots
    seed = run.study.seeds[0] if config.seed is None else config.seed
    known = sorted({key.features for key in graph.results})
    asked = None if shots == "full" else shots
    if features not in known or asked not in num_shots(run) or seed not in run.study.seeds:
        raise UserError(
            f"run={config.run}: has no features={features} shots={shots} seed={seed}. It has the "
            f"features {', '.join(known)}, shots {run.study.shots} and seeds {run.study.seeds}."
        )
    if config.method not in ("best", *run.methods):
        raise UserError(
            f"method={config.method}: is none of the run's, which are {', '.join(run.methods)}."
        )
    return {name: graph.result(features, name, asked, seed) for name in run.methods}


def _fitted(store: ArtifactStore, result: Result) -> FittedClassifier:
    uri = stored(store, result.fit).file(CLASSIFIER_FILE)
    return load_classifier(uri, METHODS[result.key.method].classifier)


def _best(fitted: dict[str, FittedClassifier], val: Split) -> str:
    """The method with the highest val accuracy, of equal ones the lower log-loss."""
    if not len(val.labels):
        raise UserError("method=best needs val images and the run has none. Name a method.")

    def goodness(name: str) -> tuple[float, float]:
        logits = fitted[name].logits(val.features)
        is_right = logits.argmax(axis=1) == val.labels
        return float(is_right.mean()), -_log_loss(logits, val.labels, 1.0)

    return max(fitted, key=goodness)


def _calibrate(
    fitted: FittedClassifier, val: Split, target_accuracy: float
) -> tuple[float, float, dict[str, object]]:
    """Temperature, threshold, and how the classifier does on val with them."""
    if not len(val.labels):
        return 1.0, 0.0, {"num_images": 0}
    logits = fitted.logits(val.features)
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


def _model(store: ArtifactStore, model: Model) -> ClipConfig:
    """The CLIP that embedded the images."""
    if model.clip is not None:
        return model.clip
    assert model.tuned is not None
    return ClipConfig(model=f"local-dir:{stored(store, model.tuned).file(MODEL_FOLDER)}")
