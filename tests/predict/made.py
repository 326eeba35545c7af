"""A classifier of three colours, and predictions without a cluster: of text files in place of
pictures, whose content says what becomes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from gist_ray.encoders.clip import embed_texts, load_clip, open_clip_name
from gist_ray.encoders.config import ClipConfig
from gist_ray.images.limits import ImageLimits
from gist_ray.methods.base.linear_classifier import by_cosine
from gist_ray.methods.base.problem import TextSet
from gist_ray.predict.classifier import Classifier
from gist_ray.predict.config import PredictConfig
from gist_ray.predict.folder import save_classifier
from gist_ray.predict.job import predict_job
from gist_ray.run.part_writer import PartWriter
from gist_ray.run.progress import Progress
from gist_ray.run.run_job import run_job
from gist_ray.schema import CLASSIFIED
from gist_ray.store.artifacts import ArtifactWriter
from gist_ray.store.stored_rows import collect, finished_ids

NAMES = ["red one", "green one", "blue one"]


def write_classifier(folder: object, **limits: float) -> str:
    clip = load_clip(ClipConfig())
    texts = TextSet(NAMES, embed_texts(clip, NAMES), np.arange(3))
    made = Classifier(
        clip=clip,
        fitted=by_cosine(texts.features, clip.logit_scale),
        method="zero_shot_texts",
        class_names=NAMES,
        class_texts=texts,
        temperature=1.0,
        threshold=0.5,
        limits=ImageLimits(**limits),
        about={},
    )
    save_classifier(made, open_clip_name(ClipConfig()), str(folder))
    return str(folder)


def write_pictures(folder: Path, **contents: str) -> Path:
    """{name: label of the class, or kind of the error}; they stay the same if written again."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_text(content)
    return folder


def without_cluster(patch: pytest.MonkeyPatch) -> None:
    """Until the patch ends no job connects to Ray."""
    for module in ("run.run_job", "operate.retry_run"):
        patch.setattr(f"gist_ray.{module}.connect", lambda: 4.0)
    patch.setattr("gist_ray.run.run_job.require_shared", lambda folders: None)
    patch.setattr("gist_ray.predict.job.classify_rows", classify_rows)


def classify_rows(
    images: pa.Table,
    config: PredictConfig,
    *,
    threshold: float,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """As that of gist_ray.predict.stage."""

    def classified(block: pa.Table) -> pa.Table:
        said = [Path(uri).read_text() for uri in block.column("uri").to_pylist()]
        labels = [int(word) if word.isdigit() else 0 for word in said]
        columns: dict[str, Any] = {
            "image_id": block.column("image_id"),
            "uri": block.column("uri"),
            "label": labels,
            "class_name": [NAMES[label] for label in labels],
            "probability": [1 / (1 + label) for label in labels],
            "abstained": [1 / (1 + label) < threshold for label in labels],
            "top5": [NAMES] * len(said),
            "top5_probability": [[1.0, 0.0, 0.0]] * len(said),
            "explanation": [None] * len(said),
            "similarity": [None] * len(said),
            "error_kind": ["" if word.isdigit() else word for word in said],
            "error_message": ["" if word.isdigit() else "cannot be read" for word in said],
        }
        return pa.table(columns)

    done = finished_ids(writer, "image_id")
    todo = images.filter(pc.invert(pc.is_in(images.column("image_id"), value_set=done)))
    store = PartWriter(uri=writer.uri, stage=writer.stage, id_column="image_id", schema=CLASSIFIED)
    for at in range(0, len(todo), 2):
        store(classified(todo.slice(at, 2)))
    collect(writer, images, "image_id")


def predict(classifier: str, images: object, out: object, **more: Any) -> None:
    run_job(predict_job(configured(classifier, images, out, **more)))


def configured(classifier: str, images: object, out: object, **more: Any) -> PredictConfig:
    more = {"max_failed_fraction": 0.5, **more}
    return PredictConfig(classifier=classifier, images=str(images), out=str(out), **more)
