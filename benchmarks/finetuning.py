"""Fine-tuning against a bare PyTorch loop of the same step, samples/s in the steady state.

One worker of ours against the bare loop, each on one CPU with one thread (or on one GPU, with
processes that read and augment pictures, and the rate of the step alone beside it); and two
workers of ours, each on a CPU of its own, against twice one worker: the batch of a worker stays the
same (weak scaling), because that is what a second machine is added for, and the loss contrasts all
of it. Two bare loops side by side, which exchange nothing, show what the machine itself takes from
two processes that compute at once.
"""

import argparse
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import open_clip
import pyarrow as pa
import torch
import yaml
from PIL import Image
from torchvision import transforms

from benchmarks.rates import Rates, say_rates, steady_rate
from benchmarks.record import REPOSITORY, parser, record
from gist_ray.demo.butterflies.corpus import corpus_pairs, corpus_rows
from gist_ray.demo.butterflies.pictures import write_pictures
from gist_ray.encoders.clip import open_clip_name
from gist_ray.encoders.config import ClipConfig
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.trainer import train_clip
from gist_ray.images.limits import ImageLimits
from gist_ray.run.cluster import STEADY_CPU, connect
from gist_ray.run.progress import Progress
from gist_ray.schema import PAIRS
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.train import distributed, loop, single
from gist_ray.train.job import TrainJob
from gist_ray.train.worker import train_worker

RECIPE = REPOSITORY / "configs" / "finetune" / "butterflies.yaml"
WARM_UP = 0.2


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    rates: dict[str, list[float]] = {"one": [], "bare": [], "two": [], "side by side": []}
    # ours has it from `connect`; the bare loops inherit it
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, STEADY_CPU):
        rows = corpus_rows(arguments.pictures, seed=5)
        write_pictures(rows, folder)
        pairs = corpus_pairs(rows, folder)
        config = _config(arguments)
        connect()
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, mp_context=spawn) as others:
            for _ in range(arguments.pairs):
                rates["one"].append(ours(pairs, arguments.model, config))
                rates["bare"].append(sum(bare(others, 1, pairs, arguments.model, config)))
                if arguments.devices > 1:
                    two = replace(config, num_workers=2, batch_size=2 * config.batch_size)
                    rates["two"].append(ours(pairs, arguments.model, two))
                    both = bare(others, 2, pairs, arguments.model, config)
                    rates["side by side"].append(sum(both))
                print({name: round(of[-1], 2) for name, of in rates.items() if of}, flush=True)
            if arguments.cuda:
                alone = others.submit(bare_loop, pairs, arguments.model, config, one_batch=True)
                print(f"the step alone: {alone.result():,.1f} samples/s")
                rates["step alone"] = [alone.result()]
    show(rates, arguments)


def show(rates: dict[str, list[float]], arguments: argparse.Namespace) -> None:
    compared = {"one worker, bare loop": Rates(rates["one"], rates["bare"])}
    if rates["two"]:
        twice_one = [2 * rate for rate in rates["one"]]
        twice_bare = [2 * rate for rate in rates["bare"]]
        compared |= {
            "two workers, twice one": Rates(rates["two"], twice_one),
            "two bare loops, twice one": Rates(rates["side by side"], twice_bare),
        }
    rows = [each.row(name) for name, each in compared.items()]
    say_rates(f"Fine-tuning {arguments.model}, batch {arguments.batch_size}", "samples/s", rows)
    settings = {name: value for name, value in vars(arguments).items() if name != "out"}
    numbers: dict[str, Any] = {name: each.numbers() for name, each in compared.items()}
    if "step alone" in rates:
        numbers["step_alone"] = rates["step alone"][0]
    record("finetuning", {"settings": settings, **numbers}, arguments.out)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    options = parser(__doc__)
    options.add_argument("--model", default="butterfly-clip", help="open_clip's name, or this")
    options.add_argument("--batch-size", type=int, default=64, help="of one worker")
    options.add_argument("--steps", type=int, default=60, help="per turn")
    options.add_argument("--pictures", type=int, default=640)
    options.add_argument("--pairs", type=int, default=3, help="turns of each")
    arguments = options.parse_args(words)
    arguments.cuda = cuda
    cpus = len(os.sched_getaffinity(0))
    arguments.devices = torch.cuda.device_count() if cuda else cpus
    arguments.loaders = max(1, (cpus - 1) // arguments.devices) if cuda else 0
    return arguments


def _config(arguments: argparse.Namespace) -> FinetuneConfig:
    """The recipe of the embedded set, without validation and the states stored there."""
    return FinetuneConfig(
        **yaml.safe_load(RECIPE.read_text())
        | {
            "batch_size": arguments.batch_size,
            "num_steps": arguments.steps,
            "validate_every_steps": arguments.steps,
            "select_by": "last",
            "wise_ft": 1.0,
            "gpus_per_worker": 1 if arguments.cuda else 0,
            "loader_processes": arguments.loaders,
        }
    )


def ours(pairs: pa.Table, model: str, config: FinetuneConfig) -> float:
    """Samples/s of all workers of a training together."""
    with tempfile.TemporaryDirectory() as root:
        writer = ArtifactStore(root).writer("finetuned", "finetune", {}, inputs={})
        val, progress = PAIRS.empty_table(), Progress()
        with (
            patch.object(single, "_train", timed_single),
            patch.object(distributed, "_run_worker", timed_worker),
        ):
            train_clip(
                pairs,
                val,
                clip=ClipConfig(model=model),
                config=config,
                seed=0,
                writer=writer,
                progress=progress,
                limits=ImageLimits(),
            )
        times = json.loads(Path(writer.file("steps.json")).read_text())
    return steady_rate([(at, config.batch_size) for at in times], WARM_UP)


def timed_single(job: TrainJob) -> None:
    """The training of a warm worker, timed."""
    timed(job, loop.Worker())


def timed_worker(loop_config: dict[str, Any]) -> None:
    """The part of a training that a worker of Ray Train has, timed."""
    import ray.train
    import ray.train.torch

    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    worker = loop.Worker(rank, world_size, ray.train.torch.get_device())
    timed(loop_config["job"], worker, ray.train.report)


def timed(job: TrainJob, worker: loop.Worker, *validated: Any) -> None:
    """Trains with a clock at the end of each step; the first worker writes the times down."""
    times: list[float] = []
    step = loop.train_step

    def timed_step(*arguments: Any, **options: Any) -> loop.Terms:
        terms = step(*arguments, **options)
        times.append(time.time())
        return terms

    with patch.object(loop, "train_step", timed_step):
        train_worker(job, worker, *validated)
    if worker.rank == 0:
        Path(job.file("steps.json")).write_text(json.dumps(times))


def bare(
    others: ProcessPoolExecutor, number: int, pairs: pa.Table, model: str, config: FinetuneConfig
) -> list[float]:
    """Samples/s of each of `number` bare loops at once."""
    futures = [others.submit(bare_loop, pairs, model, config) for _ in range(number)]
    return [future.result() for future in futures]


class Pairs(torch.utils.data.Dataset):
    """Decoded, cropped, mirrored and normalised pictures, and tokens of a drawn caption. A caption
    is tokenized when it is drawn first, within the step, as ours are."""

    def __init__(self, pairs: pa.Table, tokenizer: Any, preprocess: Any, crop_scale: float) -> None:
        self.uris = pairs.column("uri").to_pylist()
        self.captions = pairs.column("captions").to_pylist()
        self.tokens_of = cache(lambda caption: tokenizer([caption])[0])
        self.augment = transforms.Compose(
            [
                transforms.RandomResizedCrop(
                    preprocess["size"],
                    scale=(crop_scale, 1.0),
                    interpolation=transforms.InterpolationMode.BICUBIC,
                ),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(preprocess["mean"], preprocess["std"]),
            ]
        )

    def __len__(self) -> int:
        return len(self.uris)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, torch.Tensor]:
        captions = self.captions[at]
        image = self.augment(Image.open(self.uris[at]).convert("RGB"))
        return image, self.tokens_of(captions[np.random.randint(len(captions))])


def bare_loop(
    pairs: pa.Table, name: str, config: FinetuneConfig, *, one_batch: bool = False
) -> float:
    """A loop as one would write it for one device, with the kernels that ours takes; samples/s.

    one_batch: take the first batch, which stays on the device, at each step.
    """
    device = torch.device("cuda" if config.gpus_per_worker else "cpu")
    torch.set_num_threads(config.cpus_per_worker)
    torch.backends.cuda.enable_flash_sdp(device.type == "cuda")
    torch.backends.cuda.enable_mem_efficient_sdp(device.type == "cuda")
    of_open_clip = open_clip_name(ClipConfig(model=name))
    model = open_clip.create_model(of_open_clip, device=device).train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    if device.type == "cpu":
        model.visual.to(memory_format=torch.channels_last)
    tokenizer = open_clip.get_tokenizer(of_open_clip)
    preprocess = model.visual.preprocess_cfg
    loader = torch.utils.data.DataLoader(
        Pairs(pairs, tokenizer, preprocess, config.crop_scale_min),
        batch_size=config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=config.loader_processes,
        # as in a script; a spawned process would spawn them, one after the other
        multiprocessing_context="fork" if config.loader_processes else None,
        persistent_workers=config.loader_processes > 0,
        pin_memory=device.type == "cuda",
    )
    matrices = [p for n, p in model.named_parameters() if p.ndim > 1 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim > 1 and "embed" not in n)]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others},
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        weight_decay=0.0,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.num_steps or 1)
    loss_of = open_clip.ClipLoss()
    batches: Iterable[Any] = loader
    if one_batch:
        first = [part.to(device) for part in next(iter(loader))]
        batches = [first] * len(loader)
    times: list[float] = []
    while len(times) < (config.num_steps or 1):
        for images, tokens in batches:
            images, tokens = images.to(device, non_blocking=True), tokens.to(device)
            if device.type == "cpu":
                images = images.contiguous(memory_format=torch.channels_last)
            is_amp = config.precision == "amp_bf16"
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_amp):
                image_features, text_features, scale = model(images, tokens)[:3]
            loss = loss_of(image_features.float(), text_features.float(), scale)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_grad_norm or math.inf)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.logit_scale.clamp_(0, math.log(100))
            loss.item()  # as ours, which keeps the loss of each step
            times.append(time.time())
    return steady_rate([(at, config.batch_size) for at in times], WARM_UP)


if __name__ == "__main__":
    main()
