"""The two stages of a method on one draw: its fit, and its predictions of the test images."""

from collections.abc import Mapping
from typing import Any

from gist_ray.datasets.manifest import num_classes_of, read_manifest
from gist_ray.evaluation.predictions import write_predictions
from gist_ray.matching.vectors import stored_vectors
from gist_ray.methods.base.features import (
    logit_scale_of,
    read_sample,
    read_split_in_blocks,
    read_text_set,
)
from gist_ray.methods.base.method import Method
from gist_ray.methods.base.predictions import accuracy_and_loss, predict_blocks, predict_split
from gist_ray.methods.base.problem import Problem, Split, TextSet
from gist_ray.methods.base.stored import load_classifier, save_classifier
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import CLASS_TEXTS, test_sets
from gist_ray.settings.declare import identity_of
from gist_ray.store.artifacts import Artifact, ArtifactWriter

CLASSIFIER_FILE = "classifier.safetensors"

Inputs = Mapping[str, Artifact]


def fit_stage(
    name: str, method: Method, config: Any, *, inputs: Mapping[str, Stage], seed: int | None
) -> Stage:
    """Returns the stage that stores a classifier, and PREDICTIONS of the draw's val images.

    inputs: manifest; shots and image_embeddings where the method learns from images or is measured
    on val; `texts NAME` and `text_embeddings NAME` of each set that it reads. seed: of the draw,
    None for a method that no draw changes.
    """

    def run(found: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        manifest = read_manifest(found["manifest"])
        train = val = Split.none()
        if "shots" in found:
            shots = found["shots"].read()
            train, val = read_sample(manifest, shots, found["image_embeddings"])
        texts: dict[str, TextSet] = {name: _text_set(found, name) for name in method.texts}
        scale = logit_scale_of(found)
        problem = Problem(train, val, num_classes_of(manifest), scale, seed or 0, texts)
        classifier = method.fit(problem, config)
        save_classifier(classifier, writer.file(CLASSIFIER_FILE))
        write_predictions(writer, "val", predict_split(classifier, val, None))
        if len(val.labels):
            accuracy, log_loss = accuracy_and_loss(classifier, val)
            writer.extra["val"] = {
                "num_images": len(val.labels),
                "accuracy": accuracy,
                "log_loss": log_loss,
            }

    of_seed = {} if seed is None else {"seed": seed}
    return Stage(
        name=name,
        kind="classifier",
        group="fit",
        identity={"method": method.name, "config": identity_of(config), **of_seed},
        version=method.version,
        run=run,
        inputs=inputs,
    )


def predict_stage(name: str, method: Method, inputs: Mapping[str, Stage]) -> Stage:
    """Returns the stage that stores PREDICTIONS of each test set, as test.parquet,
    test/NAME.parquet.

    inputs: manifest, classifier (a fit_stage), image_embeddings; with the texts and embeddings of
    the set "class" each prediction is explained by the text that fits best.
    """

    def run(found: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        manifest = read_manifest(found["manifest"])
        classifier = load_classifier(found["classifier"].file(CLASSIFIER_FILE), method.classifier)
        images = stored_vectors(found["image_embeddings"], "image_id")
        texts = _text_set(found, CLASS_TEXTS) if f"texts {CLASS_TEXTS}" in found else None
        for split in test_sets(manifest) or ["test"]:
            rows = manifest.filter(manifest.column("split").to_numpy() == split)
            blocks = read_split_in_blocks(rows, images)
            write_predictions(writer, split, predict_blocks(classifier, blocks, texts))

    return Stage(
        name=name,
        kind="predictions",
        group="predict",
        run=run,
        inputs=inputs,
    )


def _text_set(found: Inputs, name: str) -> TextSet:
    return read_text_set(found[f"texts {name}"].read(), found[f"text_embeddings {name}"])
