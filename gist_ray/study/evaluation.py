"""The evaluation of one model on one draw."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.datasets.manifest import read_manifest
from gist_ray.errors import UserError
from gist_ray.evaluation.evaluate import LabelledImages, Setting, evaluate
from gist_ray.finetune.captions import sampled_images
from gist_ray.matching.inputs import usable_texts
from gist_ray.matching.vectors import (
    Vectors,
    embedding_matrix,
    find_places,
    read_blocks,
    read_vectors,
    stored_vectors,
)
from gist_ray.methods.heads import ClassTexts
from gist_ray.run.flow import Stage
from gist_ray.run.progress import Progress
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data
from gist_ray.study.embedding import NAME_PREFIX, Embedded
from gist_ray.study.sample import Sample

WITHOUT_K = ("frozen", "class_name", "all")
"""Trainings that `matching.k` does not change."""


def evaluation_stage(
    config: RunConfig,
    training: str,
    sample: Sample,
    data: Data,
    texts: Stage,
    model: Embedded,
) -> Stage:
    """METRICS as the artifact's rows, and the test predictions of each head beside them."""
    setting = setting_of(config, training, sample)

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        features = read_features(read_manifest(inputs["manifest"]), inputs, len(data.classes))
        result = evaluate(
            features.train,
            features.val,
            features.test(),
            features.class_texts,
            features.class_names,
            features.logit_scale,
            len(data.classes),
            setting,
            config.evaluation,
        )
        writer.write(result.metrics)
        for head, predictions in result.predictions.items():
            storage.write_parquet(writer.file(f"predictions/{head}.parquet"), predictions)

    return Stage(
        f"evaluate {training} {sample.name}",
        "evaluation",
        {**identity_of(config.evaluation), **asdict(setting)},
        run,
        {
            "manifest": data.stage,
            "texts": texts,
            "shots": sample.stage,
            "image_embeddings": model.images,
            "text_embeddings": model.texts,
        },
    )


def setting_of(config: RunConfig, training: str, sample: Sample) -> Setting:
    """What the rows of an evaluation say they are of."""
    return Setting(
        training=training,
        backbone=" ".join(filter(None, [config.clip.model, config.clip.pretrained])),
        k=None if training in WITHOUT_K else config.matching.k,
        shots=sample.num_shots,
        seed=sample.seed,
    )


@dataclass(frozen=True)
class Features:
    """What a model makes of a draw's images, of the texts and of the class names."""

    train: LabelledImages
    val: LabelledImages
    test: Callable[[], Iterator[tuple[np.ndarray, LabelledImages]]]
    """Blocks, with the places of their images in the split."""
    class_texts: ClassTexts
    class_names: np.ndarray
    """(num_templates, num_classes, dim)"""
    logit_scale: float


def read_features(manifest: pa.Table, inputs: Mapping[str, Artifact], num_classes: int) -> Features:
    """From the inputs of an evaluation. Raises UserError if a class name, or every text, could not
    be embedded."""
    shots = inputs["shots"].read()
    images = stored_vectors(inputs["image_embeddings"], "image_id")
    is_test = pc.equal(manifest.column("split"), "test")
    class_names, class_texts = _class_names_and_texts(inputs, num_classes)
    return Features(
        labelled(sampled_images(manifest, shots, "train"), images),
        labelled(sampled_images(manifest, shots, "val"), images),
        lambda: labelled_blocks(manifest.filter(is_test), images),
        class_texts,
        class_names,
        inputs["text_embeddings"].info["logit_scale"],
    )


def labelled(images: pa.Table, vectors: Vectors) -> LabelledImages:
    """The rows of a manifest that have a label and an embedding."""
    found, places = _found(images, vectors)
    return _labelled(found, read_vectors(vectors, places))


def labelled_blocks(
    images: pa.Table, vectors: Vectors
) -> Iterator[tuple[np.ndarray, LabelledImages]]:
    """The same block by block, with their places among all of them."""
    found, places = _found(images, vectors)
    for rows, features in read_blocks(vectors, places):
        yield rows, _labelled(found.take(rows), features)


def _found(images: pa.Table, vectors: Vectors) -> tuple[pa.Table, np.ndarray]:
    images = images.filter(pc.is_valid(images.column("label")))
    known, places = find_places(vectors, images.column("image_id"))
    return images.filter(pa.array(known)), places


def _labelled(images: pa.Table, features: np.ndarray) -> LabelledImages:
    return LabelledImages(
        images.column("image_id").combine_chunks(),
        features,
        images.column("label").to_numpy().astype(np.int64),
    )


def _class_names_and_texts(
    inputs: Mapping[str, Artifact], num_classes: int
) -> tuple[np.ndarray, ClassTexts]:
    """The names in their templates, (num_templates, num_classes, dim), and the classes' texts as
    far as they could be embedded.

    Raises UserError if a name, or every text, could not be.
    """
    embeddings = inputs["text_embeddings"].read()
    ids = embeddings.column("text_id").to_pylist()
    features = dict(zip(ids, embedding_matrix(embeddings), strict=True))
    texts = [
        row
        for row in usable_texts(inputs["texts"].read()).to_pylist()
        if row["text_id"] in features
    ]
    names = sorted(
        (int(template), int(label), text_id)
        for text_id in ids
        if text_id.startswith(NAME_PREFIX)
        for _, label, template in [text_id.split("/")]
    )
    num_templates = max((template for template, _, _ in names), default=0) + 1
    if not texts or len(names) != num_templates * num_classes:
        raise UserError(
            f"{inputs['text_embeddings'].uri}: class names, or all texts, have no embedding. See "
            "errors.parquet there."
        )
    class_texts = ClassTexts(
        [row["text"] for row in texts],
        np.stack([features[row["text_id"]] for row in texts]),
        np.array([row["label"] for row in texts], np.int64),
    )
    stacked = np.stack([features[text_id] for _, _, text_id in names])
    return stacked.reshape(num_templates, num_classes, -1), class_texts
