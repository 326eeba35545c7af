"""Contrastive training on Ray Train: distributed over workers, resumed after any death.

The state of a training is stored by our own atomic write and not through Ray Train's checkpoints:
a worker that Ray restarts and a job that is submitted again then go on from the same file, on a
local disk as on S3, and a report costs no upload of its own.
"""

import threading
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs
import ray.train
import ray.train.torch
import torch

from gist_ray import storage
from gist_ray.artifacts import ArtifactWriter
from gist_ray.encoders.clip import Clip, load_clip, open_clip_name
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.finetune.checkpoint import (
    MODEL_FOLDER,
    STATE_FILE,
    export_model,
    load_state,
    save_state,
)
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.loop import PairLoader, Training, start_training, total_steps, train_epoch
from gist_ray.finetune.optimizer import interpolate
from gist_ray.finetune.pairs import PairDataset
from gist_ray.finetune.selection import check_pairs, probe_score, retrieval_score
from gist_ray.progress import Progress

HISTORY_FILE = "history.json"
PAIRS_FILE = "pairs.parquet"
VAL_FILE = "val.parquet"
POLL_S = 3.0


@dataclass(frozen=True)
class Job:
    """What a worker is told; plain values, so that it travels to any machine."""

    folder: str
    clip: ClipConfig
    config: FinetuneConfig
    seed: int
    random_weights: bool
    half: bool


def train_clip(
    pairs: pa.Table,
    val: pa.Table,
    clip: ClipConfig,
    config: FinetuneConfig,
    seed: int,
    writer: ArtifactWriter,
    progress: Progress,
    *,
    random_weights: bool = False,
    half: bool = False,
) -> list[dict[str, float | None]]:
    """Train and leave an open_clip model folder at `writer.file("model")`.

    Args:
        pairs, val: PAIRS tables; for select_by="probe" the labels of both are used, for
            "retrieval" the captions of val, for "last" val may be empty.
        random_weights: start from random weights (pretraining).
        half: store the model in fp16.

    Returns:
        The history: one entry per validation with step, epoch, loss (of the first worker) and
        score (null for "last").

    Raises:
        UserError: if the pairs cannot be trained on, or the epoch not be chosen, as the config
            says; also what a worker found wrong with the model or an image.
    """
    check_pairs(pairs, val, config, writer.stage)
    storage.write_parquet(writer.file(PAIRS_FILE), pairs)
    storage.write_parquet(writer.file(VAL_FILE), val)
    job = Job(writer.uri, clip, config, seed, random_weights, half)
    trainer = ray.train.torch.TorchTrainer(
        train_worker,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(
            num_workers=config.num_workers,
            use_gpu=config.gpus_per_worker > 0,
            resources_per_worker={"CPU": config.cpus_per_worker, "GPU": config.gpus_per_worker},
        ),
        run_config=ray.train.RunConfig(
            name="ray_train",
            storage_path=_storage_path(writer.uri),
            storage_filesystem=_arrow_filesystem(writer.uri),
            failure_config=ray.train.FailureConfig(max_failures=config.max_failures),
        ),
    )
    # A finished or broken run's own bookkeeping must not decide what this one does.
    storage.delete(writer.file("ray_train"))
    finished = threading.Event()
    follower = threading.Thread(target=_follow, args=(writer, progress, finished), daemon=True)
    follower.start()
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise _user_error(error) or error from error
    finally:
        finished.set()
        follower.join()
    storage.delete(writer.file("ray_train"))
    history: list[dict[str, float | None]] = storage.read_json(writer.file(HISTORY_FILE))
    storage.delete(writer.file(STATE_FILE))
    return history


def _user_error(error: ray.train.TrainingFailedError) -> UserError | None:
    """The first UserError among the failures of the workers."""
    for failure in getattr(error, "worker_failures", {}).values():
        seen: BaseException | None = failure
        while seen is not None:
            if isinstance(seen, UserError):
                return seen
            seen = getattr(seen, "cause", None) or seen.__cause__
    return None


def train_worker(loop_config: dict[str, Any]) -> None:
    """What each Ray Train worker runs."""
    job: Job = loop_config["job"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(job.config.cpus_per_worker)
    # The math kernel is faster than the fused ones for small towers on a CPU.
    torch.backends.cuda.enable_flash_sdp(torch.cuda.is_available())
    torch.backends.cuda.enable_mem_efficient_sdp(torch.cuda.is_available())
    torch.manual_seed(job.seed)
    device = ray.train.torch.get_device()
    clip = load_clip(job.clip, device=str(device), random_weights=job.random_weights)
    before = _cpu_copy(clip.model) if job.config.wise_ft < 1 else None
    training = start_training(clip.model, job.config, world_size)
    load_state(training, f"{job.folder}/{STATE_FILE}")
    pairs = storage.read_parquet(f"{job.folder}/{PAIRS_FILE}")
    val = storage.read_parquet(f"{job.folder}/{VAL_FILE}")
    dataset = PairDataset(pairs, clip.tokenizer, clip.preprocess, job.config, job.seed)
    loader = PairLoader(dataset, job.config, seed=job.seed, rank=rank, world_size=world_size)
    num_steps = total_steps(job.config, len(dataset), world_size)

    losses: list[float] = []
    validated = training.step  # a state is only stored where it was validated
    while training.step < num_steps:
        losses += train_epoch(training, loader, job.config, num_steps)
        due = training.step - validated >= job.config.validate_every_steps
        if due or training.step >= num_steps:
            if rank == 0:
                _validate(training, clip, pairs, val, job.config, losses, num_steps)
                save_state(training, f"{job.folder}/{STATE_FILE}")
                storage.write_json(f"{job.folder}/{HISTORY_FILE}", training.history)
                ray.train.report(training.history[-1])
            else:
                ray.train.report({})
            losses.clear()
            validated = training.step
    if rank == 0:
        _export(training, clip, before, job)
        storage.write_json(f"{job.folder}/{HISTORY_FILE}", training.history)


def _validate(
    training: Training,
    clip: Clip,
    pairs: pa.Table,
    val: pa.Table,
    config: FinetuneConfig,
    losses: list[float],
    num_steps: int,
) -> None:
    training.model.eval()
    score: float | None
    if config.select_by == "probe":
        score = probe_score(clip, pairs, val)
    elif config.select_by == "retrieval":
        score = retrieval_score(clip, val)
    else:
        score = None
    entry = {
        "step": training.step,
        "num_steps": num_steps,
        "epoch": training.epoch,
        "loss": sum(losses) / len(losses),
        "score": score,
        "logit_scale": clip.logit_scale,
    }
    training.history.append(entry)
    if score is not None and score >= training.best_score:
        training.best_score, training.best_step = score, training.step
        training.best_weights = _cpu_copy(training.model)


def _cpu_copy(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _export(
    training: Training, clip: Clip, before: dict[str, torch.Tensor] | None, job: Job
) -> None:
    weights = training.best_weights or _cpu_copy(training.model)
    if before is not None:
        weights = interpolate(weights, before, job.config.wise_ft)
    export_model(
        weights,
        open_clip_name(job.clip),
        clip.preprocess,
        clip.tokenizer,
        f"{job.folder}/{MODEL_FOLDER}",
        half=job.half,
    )


def _follow(writer: ArtifactWriter, progress: Progress, finished: threading.Event) -> None:
    """Say what the workers last stored, until the training ends."""
    said = 0
    is_last = False
    while not is_last:
        is_last = finished.wait(POLL_S)
        if not storage.exists(writer.file(HISTORY_FILE)):
            continue
        history = storage.read_json(writer.file(HISTORY_FILE))
        for entry in history[said:]:
            score = f"  val score {entry['score']:.4f}" if entry["score"] is not None else ""
            done = f"step {entry['step']}/{entry['num_steps']}"
            progress.say(writer.stage, f"{done}  loss {entry['loss']:.3f}{score}")
        said = len(history)


def _storage_path(uri: str) -> str:
    return uri if storage.is_local(uri) else storage.filesystem(uri)[1]


def _arrow_filesystem(uri: str) -> pyarrow.fs.FileSystem | None:
    """Ray's own S3 client does not read AWS_ENDPOINT_URL; ours does, and is handed over."""
    if storage.is_local(uri):
        return None
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(storage.filesystem(uri)[0]))
