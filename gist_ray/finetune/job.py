"""The description of a fine-tuning for its driver and its workers; imports nothing slow."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gist_ray.encoders.config import LOCAL_MODEL, ClipConfig
from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.images.limits import ImageLimits
from gist_ray.store import storage

if TYPE_CHECKING:
    from gist_ray.finetune.task import FinetuneTask

PAIRS_FILE = "pairs.parquet"
VAL_FILE = "val.parquet"


@dataclass(frozen=True)
class FinetuneJob:
    """Description of a fine-tuning for a worker, in plain values that can be pickled to any
    machine."""

    folder: str
    """Folder of the pairs: PAIRS_FILE and VAL_FILE."""
    clip: ClipConfig
    config: FinetuneConfig
    seed: int
    limits: ImageLimits
    random_weights: bool
    half: bool

    def make_task(self) -> "FinetuneTask":
        """Returns the task, in a worker."""
        from gist_ray.finetune.task import FinetuneTask

        return FinetuneTask(self)


def seen_from_anywhere(clip: ClipConfig) -> ClipConfig:
    """Returns the same model by its full path, because Ray Train's workers run in a folder of their
    own."""
    if not clip.model.startswith(LOCAL_MODEL):
        return clip
    return replace(clip, model=LOCAL_MODEL + storage.absolute(clip.model.removeprefix(LOCAL_MODEL)))


def check_pairs(pairs: pa.Table, val: pa.Table, config: FinetuneConfig, *, stage: str) -> None:
    """Raises UserError where `config` cannot train on these PAIRS tables or choose by `val`."""
    problems = []
    if len(pairs) < max(2, config.num_workers):
        problems.append(
            f"{stage}: {len(pairs)} training pairs for finetune.num_workers={config.num_workers}; "
            "a contrast needs at least 2, and each worker 1."
        )
    by = f"{stage}: finetune.select_by={config.select_by}"
    if config.select_by != "last" and len(val) == 0:
        problems.append(
            f"{by} needs images of the val split and there are none. Give the data set a val split "
            "or set finetune.select_by=last."
        )
    elif (
        config.select_by == "retrieval"
        and pc.min(pc.list_value_length(val["captions"])).as_py() < 1
    ):
        problems.append(
            f"{by} needs a caption of every val image, and some have none. Set "
            "finetune.select_by=probe or last."
        )
    elif config.select_by == "probe":
        trained = pc.unique(pairs["label"].drop_null())
        known = pc.sum(pc.is_in(val["label"].drop_null(), value_set=trained)).as_py() or 0
        if pairs["label"].null_count or len(trained) < 2 or not known:
            problems.append(
                f"{by} needs a label on every training pair, at least 2 classes and val images of "
                f"them; there are {pairs['label'].null_count} pairs without a label, "
                f"{len(trained)} classes and {known} such val images. Set finetune.select_by=last."
            )
    if problems:
        raise UserError(problems)
