"""Fine-tunes CLIP on a table of image-text pairs."""

import pyarrow as pa

from gist_ray.encoders.config import ClipConfig
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.job import (
    PAIRS_FILE,
    VAL_FILE,
    FinetuneJob,
    check_pairs,
    seen_from_anywhere,
)
from gist_ray.images.limits import ImageLimits
from gist_ray.run.progress import Progress
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactWriter
from gist_ray.train.job import Entry, TrainJob
from gist_ray.train.trainer import train


def train_clip(
    pairs: pa.Table,
    val: pa.Table,
    *,
    clip: ClipConfig,
    config: FinetuneConfig,
    seed: int,
    writer: ArtifactWriter,
    progress: Progress,
    limits: ImageLimits,
    random_weights: bool = False,
    half: bool = False,
) -> list[Entry]:
    """Trains, and writes an open_clip model folder in MODEL_FOLDER of the artifact.

    Args:
        pairs, val: PAIRS tables; for select_by="probe" the labels of both are used, for
            "retrieval" the captions of val, for "last" val may be empty.
        limits: a picture beyond them is an error of the user's.
        random_weights: start from random weights (pretraining).
        half: store the model in fp16.

    Returns:
        The history: one entry per validation with step, epoch, loss (of the first worker) and
        score (null for "last").

    Raises:
        UserError: if the pairs cannot be trained on, or the epoch not be chosen, as the config
            says; also what `gist_ray.train.trainer.train` raises.
        TrainingStoppedError: as `train`.
    """
    check_pairs(pairs, val, config, stage=writer.stage)
    storage.write_parquet(writer.file(PAIRS_FILE), pairs)
    storage.write_parquet(writer.file(VAL_FILE), val)
    job = FinetuneJob(
        folder=writer.uri,
        clip=seen_from_anywhere(clip),
        config=config,
        seed=seed,
        limits=limits,
        random_weights=random_weights,
        half=half,
    )
    return train(TrainJob(writer.uri, job.make_task, config, seed), writer, progress)
