"""Packing as a job: rows of shards, shards, and at its end the set that `data=packed` reads."""

import math
from collections.abc import Mapping, Sequence

from gist_ray.datasets.ingest import check_there
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.packed_set import (
    forget_transient,
    read_packed_set,
    withdraw_packed_set,
    write_packed_set,
)
from gist_ray.datasets.packing.source import write_rows
from gist_ray.datasets.packing.stage import pack_shards
from gist_ray.errors import UserError
from gist_ray.run.claim import Claim, check_claim, make_claim
from gist_ray.run.flow import TooManyFailedRowsError
from gist_ray.run.job import Job
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Done, Resources, Stage
from gist_ray.schema import TRANSIENT_KINDS
from gist_ray.settings.declare import identity_of
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter
from gist_ray.store.reachable import why_unwritable

COMMAND = "pack"
ROWS_STAGE = "read rows"
SHARDS_STAGE = "pack shards"

Inputs = Mapping[str, Artifact]


def pack_job(config: PackConfig) -> Job:
    """Returns the job that packs a data set.

    Raises UserError if the data set is not there, or if `out` holds something else.
    """
    if why := why_unwritable(config.out):
        raise UserError(f"out={config.out}: {why}.")
    claim = Claim(
        folder=config.out,
        file="pack.json",
        job=COMMAND,
        kept="packed set",
        settings=identity_of(config),
    )
    check_claim(claim)
    rows = _rows_stage(config)
    store = ArtifactStore(config.out)
    if not rows.find(store):
        check_there(config.data)

    def run(inputs: Inputs, writer: ArtifactWriter, progress: Progress) -> None:
        make_claim(claim)
        withdraw_packed_set(store.root)
        pack_shards(inputs["rows"], config, out=store.root, writer=writer, progress=progress)

    shards = Stage(
        name=SHARDS_STAGE,
        kind="packed",
        group=SHARDS_STAGE,
        identity=identity_of(config),
        run=run,
        inputs={"rows": rows},
        resources=Resources(cpus=config.max_workers or math.inf),
        folders=_folders(config),
    )
    return Job(
        command=COMMAND,
        name=COMMAND,
        config=config,
        root=config.out,
        stages=[rows, shards],
        finish=lambda store, done: _finish(config, store, done),
        # of a stage; of all images `finish` counts
        max_failed_fraction=1,
        about=[f"{config.data.layout} {config.data.path}"],
        root_setting="out",
    )


def _rows_stage(config: PackConfig) -> Stage:
    """A data set counts by its settings: what is packed is the data set as it was listed first."""
    return Stage(
        name=ROWS_STAGE,
        kind="packing_rows",
        group=ROWS_STAGE,
        identity={
            "data": identity_of(config.data),
            "images_per_shard": config.images_per_shard,
        },
        run=lambda inputs, writer, progress: write_rows(config, writer, progress),
        resources=Resources(cpus=0),
    )


def _folders(config: PackConfig) -> dict[str, str]:
    """The data set where it is a folder; a table is read by the driver alone."""
    is_folder = storage.is_folder(config.data.path)
    return {"data.path": config.data.path} if is_folder else {}


def _finish(config: PackConfig, store: ArtifactStore, done: Mapping[str, Done]) -> Sequence[str]:
    """Completes the packed set. Raises TooManyFailedRowsError, counted over all images."""
    rows, shards = done[ROWS_STAGE].artifact, done[SHARDS_STAGE]
    whole = read_packed_set(store.root) if shards.was_stored else None
    if whole is None:
        whole = write_packed_set(store.root, identity_of(config), rows=rows, shards=shards.artifact)
    counts = whole.counts
    num_again = 0
    if any(kind in TRANSIENT_KINDS for kind in counts["failed"]):
        num_again = forget_transient(shards.artifact)
    num_failed = sum(counts["failed"].values())
    if num_failed > config.max_failed_fraction * counts["rows_in"]:
        raise TooManyFailedRowsError(COMMAND, whole, config.max_failed_fraction)
    lines = [
        f"{counts['rows_ok']:,} images, {whole.info['bytes'] / 2**20:,.1f} MiB, "
        f"{len(whole.info['parts']):,} shards; {num_failed:,} images failed. Read it by "
        f"data=packed data.path={config.out}"
    ]
    if num_again:
        lines.append(
            f"In {num_again:,} shards images failed that may come well: the same command makes "
            "these shards anew."
        )
    return lines
