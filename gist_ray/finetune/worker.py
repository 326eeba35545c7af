"""What each Ray Train worker runs: load, train, validate, store, export."""

from functools import partial
from typing import Any

import pyarrow as pa
import ray.train
import ray.train.torch
import torch

from gist_ray.encoders.clip import Clip, load_clip, open_clip_name
from gist_ray.finetune.checkpoint import export_model, load_state, save_state
from gist_ray.finetune.job import HISTORY_FILE, MODEL_FOLDER, PAIRS_FILE, STATE_FILE, VAL_FILE, Job
from gist_ray.finetune.loop import Training, start_training, total_steps, train_epoch
from gist_ray.finetune.optimizer import interpolate
from gist_ray.finetune.pairs import PairDataset, PairLoader
from gist_ray.finetune.selection import probe_score, retrieval_score, validation_sample
from gist_ray.store import storage


def train_worker(job: Job) -> None:
    """Train from the stored state, if there is one, to the end."""
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
    dataset = PairDataset(
        pairs, clip.tokenizer, clip.preprocess, job.config, job.seed, limits=job.limits
    )
    loader = PairLoader(dataset, job.config, seed=job.seed, rank=rank, world_size=world_size)
    num_steps = total_steps(job.config, len(dataset), world_size)

    sample = partial(validation_sample, num_images=job.config.num_validation_images, seed=job.seed)
    judged_by = (sample(pairs), sample(val))
    losses: list[float] = []
    validated = training.step  # a state is only stored where it was validated
    while training.step < num_steps:
        losses += train_epoch(training, loader, job.config, num_steps)
        due = training.step - validated >= job.config.validate_every_steps
        if due or training.step >= num_steps:
            if rank == 0:
                _validate(training, clip, *judged_by, job, losses, num_steps)
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
    train: pa.Table,
    val: pa.Table,
    job: Job,
    losses: list[float],
    num_steps: int,
) -> None:
    training.model.eval()
    score: float | None
    if job.config.select_by == "probe":
        score = probe_score(clip, train, val, limits=job.limits)
    elif job.config.select_by == "retrieval":
        score = retrieval_score(clip, val, limits=job.limits)
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
