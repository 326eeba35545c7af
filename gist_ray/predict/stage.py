"""The predict job on Ray Data: page by page, and within a page row by row from where it stopped.

<out>/artifacts/predictions/<page>/parts/*.parquet   CLASSIFIED
<out>/errors.parquet                                 images that gave no prediction
<out>/summary.json                                   written last: counts of the whole
"""

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from gist_ray.encoders.clip import embed_images, fingerprint_of_weights, load_clip
from gist_ray.encoders.config import EmbedConfig
from gist_ray.encoders.decoding import decoding
from gist_ray.encoders.stage import encoding, first_of, vector_errors
from gist_ray.errors import UserError
from gist_ray.predict.classifier import predict_features
from gist_ray.predict.config import PredictConfig
from gist_ray.predict.folder import (
    CLASSIFIER_FILE,
    DESCRIPTION_FILE,
    load_classifier,
    model_of,
    read_description,
)
from gist_ray.predict.images import Page, pages_of_images
from gist_ray.run.cluster import connect, relative_in_job, require_shared
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.run.runs import RUNS
from gist_ray.run.step import Batch
from gist_ray.schema import CLASSIFIED
from gist_ray.store import storage
from gist_ray.store.artifacts import (
    Artifact,
    ArtifactStore,
    file_content,
    fingerprint,
    table_content,
)
from gist_ray.store.reachable import why_unwritable

KIND = "predictions"
CLAIM_FILE = "prediction.json"
ERRORS_FILE = "errors.parquet"
SUMMARY_FILE = "summary.json"


@dataclass(frozen=True)
class Summary:
    """What a prediction came to, over all pages."""

    rows_in: int
    rows_ok: int
    failed: dict[str, int]
    abstained: int
    classes: dict[str, int]
    """Class name -> images for which it was predicted."""
    seconds: float


def run_prediction(config: PredictConfig) -> Summary:
    """Classify what is not classified yet. Raises UserError, or TooManyFailedRowsError."""
    start = time.monotonic()
    if problems := relative_in_job(
        {"classifier": config.classifier, "images": config.images, "out": config.out}
    ):
        raise UserError(problems)
    out = storage.absolute(config.out)
    if why := why_unwritable(out):
        raise UserError(f"out={config.out}: {why}.")
    if storage.exists(storage.join(out, RUNS)):
        raise UserError(
            f"out={config.out}: runs are kept here, and what no run refers to may be cleaned away. "
            f"Choose a folder of its own, such as {config.out}/predictions/new."
        )
    chosen = read_description(config.classifier).threshold
    threshold = chosen if config.threshold is None else config.threshold
    decides = _decides(config, threshold)
    _claim(storage.join(out, CLAIM_FILE), decides)
    store, progress = ArtifactStore(out), Progress()
    done = [
        _predict_page(config, threshold, decides, page, store, progress)
        for page in pages_of_images(config.images, config.image_column, config.id_column)
    ]
    if not done:
        raise UserError(f"images={config.images}: there is no picture here.")
    # pages of an earlier listing, to which images have come or from which they have gone
    for key in set(storage.names_in(store.location(KIND, ""))) - {a.fingerprint for a in done}:
        store.outdate(KIND, key)
    errors = pa.concat_tables([artifact.read_errors() for artifact in done])
    storage.write_parquet(storage.join(out, ERRORS_FILE), errors)
    summary = _summary(done, time.monotonic() - start)
    storage.write_json(storage.join(out, SUMMARY_FILE), asdict(summary))
    counts = {"rows_in": summary.rows_in, "rows_ok": summary.rows_ok, "failed": summary.failed}
    if sum(summary.failed.values()) > config.max_failed_fraction * summary.rows_in:
        whole = Artifact(out, {"counts": counts})
        raise TooManyFailedRowsError("predict", whole, config.max_failed_fraction)
    return summary


def _decides(config: PredictConfig, threshold: float) -> dict[str, Any]:
    """What two runs of one prediction have in common."""
    embed = config.embed
    folder = config.classifier
    return {
        "description": file_content(storage.join(folder, DESCRIPTION_FILE)),
        "classifier": file_content(storage.join(folder, CLASSIFIER_FILE)),
        "model": fingerprint_of_weights(model_of(folder)),
        "threshold": threshold,
        "images": storage.absolute(config.images),
        "precision": embed.precision,
        **asdict(embed.limits),
    }


def _claim(uri: str, decides: dict[str, Any]) -> None:
    """Note what is predicted here. Raises UserError if it was something else."""
    if not storage.exists(uri):
        storage.write_json(uri, decides)
        return
    found = storage.read_json(uri)
    differ = sorted(name for name in decides if found.get(name) != decides[name])
    if differ:
        raise UserError(
            f"{uri}: another prediction is kept here ({', '.join(differ)} differ). Choose another "
            "folder for out, or delete this one."
        )


def _predict_page(
    config: PredictConfig,
    threshold: float,
    decides: dict[str, Any],
    page: Page,
    store: ArtifactStore,
    progress: Progress,
) -> Artifact:
    inputs = {"images": table_content(page.images)}
    stored = store.find(KIND, fingerprint(KIND, decides, inputs))
    if stored:
        progress.say("predict", f"{stored.counts['rows_ok']:,} images were already stored")
        return stored
    writer = store.writer(KIND, "predict", decides, inputs=inputs)
    start = time.monotonic()
    connect()
    require_shared({"out": config.out, "classifier": config.classifier})
    preprocess = load_clip(model_of(config.classifier)).preprocess
    steps = [
        decoding(preprocess, config.embed),
        encoding(Predictor, (config.classifier, threshold), config.embed),
    ]
    run_rows(
        page.images,
        id_column="image_id",
        steps=steps,
        schema=CLASSIFIED,
        writer=writer,
        rows_per_part=config.embed.rows_per_part,
        unit="images",
        progress=progress,
    )
    writer.add_errors(page.errors)
    return writer.publish(time.monotonic() - start)


class Predictor:
    """An actor that holds the classifier."""

    def __init__(self, classifier: str, threshold: float, config: EmbedConfig) -> None:
        torch.set_num_threads(max(1, int(config.cpus_per_worker)))
        device = "cuda" if config.gpus_per_worker else "cpu"
        loaded = load_classifier(classifier, device=device, precision=config.precision)
        self.classifier = replace(loaded, threshold=threshold)

    def __call__(self, batch: Batch) -> Batch:
        features = embed_images(self.classifier.clip, batch["pixels"])
        kinds, messages = vector_errors(features)
        found = predict_features(self.classifier, np.nan_to_num(features))
        return {
            "image_id": batch["image_id"],
            "uri": batch["uri"],
            "label": [one.label for one in found],
            "class_name": [one.class_name for one in found],
            "probability": [one.probability for one in found],
            "abstained": [one.abstained for one in found],
            "top5": [[name for name, _ in one.top5] for one in found],
            "top5_probability": [[chance for _, chance in one.top5] for one in found],
            "explanation": [one.explanation for one in found],
            "similarity": [one.similarity for one in found],
            "error_kind": first_of(batch["error_kind"], kinds),
            "error_message": first_of(batch["error_message"], messages),
        }


def _summary(pages: Collection[Artifact], seconds: float) -> Summary:
    failed: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    abstained = 0
    for page in pages:
        failed.update(page.counts["failed"])
        if not page.counts["rows_ok"]:
            continue
        said = page.read(["class_name", "abstained"])
        abstained += pc.sum(said.column("abstained")).as_py()
        for row in said.column("class_name").value_counts().to_pylist():
            classes[row["values"]] += row["counts"]
    rows_ok = sum(page.counts["rows_ok"] for page in pages)
    return Summary(
        rows_in=rows_ok + sum(failed.values()),
        rows_ok=rows_ok,
        failed=dict(failed),
        abstained=abstained,
        classes=dict(classes),
        seconds=round(seconds, 3),
    )
