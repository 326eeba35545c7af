"""A prediction as a job: a stage for each page of images, and the summary of all.

<out>/artifacts/classified/<page>/parts/*.parquet   CLASSIFIED
<out>/prediction.json                               the settings that `out` is claimed for
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from gist_ray.encoders.clip import fingerprint_of_weights
from gist_ray.encoders.config import resources_of
from gist_ray.errors import UserError
from gist_ray.predict.calibrate import warnings_of
from gist_ray.predict.config import PredictConfig
from gist_ray.predict.folder import (
    CLASSIFIER_FILE,
    DESCRIPTION_FILE,
    TEXTS_FILE,
    model_of,
    read_description,
)
from gist_ray.predict.images import pages_of_images
from gist_ray.predict.spool import Spool
from gist_ray.predict.stage import classify_rows
from gist_ray.predict.summary import write_summary
from gist_ray.run.claim import Claim, check_claim, make_claim
from gist_ray.run.cluster import relative_in_job
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.run.job import Job, resource_problems
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Done, Stage
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import (
    Artifact,
    ArtifactStore,
    ArtifactWriter,
    file_content,
    table_content,
)
from gist_ray.store.reachable import why_unwritable

COMMAND = "predict"
KIND = "classified"
CLAIM_FILE = "prediction.json"


def predict_job(config: PredictConfig) -> Job:
    """Returns the job that classifies every image of `config.images`.

    All images are listed here, a page at a time in memory; the pages wait on the local disk. Raises
    UserError for a classifier or images that cannot be read, and if `out` holds something else.
    """
    places = {"classifier": config.classifier, "images": config.images, "out": config.out}
    resources = resources_of(config.embed)
    problems = relative_in_job(places) + resource_problems([resources])
    if why := why_unwritable(config.out):
        problems.append(f"out={config.out}: {why}.")
    if problems:
        raise UserError(problems)
    prediction = _prediction(config)
    check_claim(prediction.claim)
    spool = Spool()
    stages = [
        _page_stage(
            prediction,
            Page(
                number=number,
                content={"rows": table_content(page.images), "errors": table_content(page.errors)},
                num_rows=len(page.images),
                images=spool.keep(page.images),
                errors=spool.keep(page.errors),
            ),
        )
        for number, page in enumerate(pages_of_images(config), start=1)
    ]
    if not stages:
        raise UserError(f"images={config.images}: there is no picture here.")
    num_images = sum(stage.num_rows or 0 for stage in stages)
    return Job(
        command=COMMAND,
        name=COMMAND,
        config=config,
        root=config.out,
        stages=stages,
        finish=lambda store, done: _finish(prediction, store, done),
        # of a page; of all pages `finish` counts
        max_failed_fraction=1,
        about=[
            f"{num_images:,} images of {config.images}, classified by {config.classifier}",
            *prediction.warnings,
        ],
        root_setting="out",
    )


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The settings and the claim that all pages share. folders: those that every node has to
    see. warnings: what the classifier's calibration cannot promise."""

    config: PredictConfig
    threshold: float
    claim: Claim
    folders: Mapping[str, str]
    warnings: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of images kept on the local disk. num_rows: without the errors."""

    number: int
    content: Mapping[str, str]
    num_rows: int
    images: Callable[[], pa.Table]
    errors: Callable[[], pa.Table]


def _prediction(config: PredictConfig) -> Prediction:
    """Returns what all pages share. Its claim has the hashes of the classifier's files."""
    folder = config.classifier
    description = read_description(folder)
    threshold = description.threshold if config.threshold is None else config.threshold
    settings: dict[str, Any] = {
        "description": file_content(storage.join(folder, DESCRIPTION_FILE)),
        "classifier": file_content(storage.join(folder, CLASSIFIER_FILE)),
        "texts": file_content(storage.join(folder, TEXTS_FILE)),
        "model": fingerprint_of_weights(model_of(folder)),
        "threshold": threshold,
        "images": storage.absolute(config.images),
        "embed": identity_of(config.embed),
    }
    claim = Claim(
        folder=config.out, file=CLAIM_FILE, job=COMMAND, kept="prediction", settings=settings
    )
    folders = {"classifier": folder}
    if storage.is_folder(config.images):  # a table is read by the driver alone
        folders["images"] = config.images
    return Prediction(
        config=config,
        threshold=threshold,
        claim=claim,
        folders=folders,
        warnings=warnings_of(description.about.get("val", {"num_images": 0}), threshold),
    )


def _page_stage(prediction: Prediction, page: Page) -> Stage:
    config = prediction.config

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        make_claim(prediction.claim)
        classify_rows(
            page.images(),
            config,
            threshold=prediction.threshold,
            writer=writer,
            progress=progress,
        )
        writer.add_errors(page.errors())

    return Stage(
        name=f"predict page {page.number}",
        kind=KIND,
        group="predict",
        identity={**prediction.claim.settings, "page": page.content},
        run=run,
        # One page at a time: embed.max_workers is of the whole prediction.
        resources=replace(resources_of(config.embed), cpus=math.inf, cpus_from=""),
        folders=prediction.folders,
        num_rows=page.num_rows,
    )


def _finish(
    prediction: Prediction, store: ArtifactStore, done: Mapping[str, Done]
) -> Sequence[str]:
    """Writes the summary. Raises TooManyFailedRowsError, counted over all pages."""
    pages = [one.artifact for one in done.values()]
    # pages of an earlier listing, to which images have come or from which they have gone
    for key in set(storage.names_in(store.location(KIND, ""))) - {p.fingerprint for p in pages}:
        store.outdate(KIND, key)
    config, warnings = prediction.config, prediction.warnings
    summary = write_summary(store.root, pages, warnings)
    num_failed = sum(summary.failed.values())
    if num_failed > config.max_failed_fraction * summary.rows_in:
        counts = {
            "rows_in": summary.rows_in,
            "rows_ok": summary.rows_ok,
            "failed": summary.failed,
        }
        whole = Artifact(store.root, {"counts": counts})
        raise TooManyFailedRowsError(COMMAND, whole, config.max_failed_fraction)
    return [
        f"{summary.rows_ok:,} images classified, {summary.abstained:,} of them below the "
        f"threshold; {num_failed:,} failed. Read them by\n"
        f"  pandas.read_parquet(...) of {config.out}/artifacts/{KIND}/*/parts/*.parquet",
        *warnings,
    ]
