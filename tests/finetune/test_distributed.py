"""Two processes against one on the joined batch: loss and gradient."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from gist_ray.encoders.clip import load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.job import FinetuneJob
from gist_ray.finetune.loss import Encoded, make_loss
from gist_ray.train.loop import Worker, start_training, train_step
from tests.finetune.conftest import MakeJob

pytestmark = pytest.mark.slow

NUM_ROWS, DIM = 8, 5
LABELS = torch.tensor([0, 1, 0, -1, 2, 1, -1, 0])
LOSSES = ("infonce", "multi_positive")
OPTIONS: list[dict[str, Any]] = [
    {"loss": "infonce"},
    {"loss": "multi_positive", "micro_batches": 2},
    {"loss": "infonce", "train_towers": "image"},
    {"loss": "infonce", "grad_checkpointing": True},
]

Results = dict[str, dict[str, torch.Tensor]]
Jobs = dict[str, FinetuneJob]


class Towers(torch.nn.Module):
    """Two linear towers and a scale: what a loss needs of a CLIP."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.image, self.text = torch.nn.Linear(DIM, 4), torch.nn.Linear(DIM, 4)
        self.logit_scale = torch.nn.Parameter(torch.tensor(1.5))

    def forward(self, images: torch.Tensor, texts: torch.Tensor) -> Any:
        normalise = functools.partial(functional.normalize, dim=-1)
        return normalise(self.image(images)), normalise(self.text(texts)), self.logit_scale.exp()


def towers_results(loss: str, rank: int, world_size: int) -> dict[str, torch.Tensor]:
    model: Any = Towers()
    if world_size > 1:
        model = torch.nn.parallel.DistributedDataParallel(model)
    generator = torch.Generator().manual_seed(1)
    images, texts = (torch.randn(NUM_ROWS, DIM, generator=generator) for _ in range(2))
    share = share_of(rank, world_size)
    pairs = Encoded(*model(images[share], texts[share]), LABELS[share])
    value = make_loss(loss, rank=rank, world_size=world_size)(pairs)
    value.backward()
    gradients = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
    return {"loss": value.detach(), **gradients}


def clip_results(job: FinetuneJob, rank: int, world_size: int) -> dict[str, torch.Tensor]:
    """Of one `train_step` of the real loop."""
    task = job.make_task()
    training = start_training(task, job.config, Worker(rank, world_size))
    images = torch.randn(NUM_ROWS, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    tokens = load_clip(job.clip).tokenizer([f"text number {row}" for row in range(NUM_ROWS)])
    share = share_of(rank, world_size)
    batch = images[share], tokens[share], LABELS[share]
    terms = train_step(training, task, batch, clip_grad_norm=None)
    gradients = {n: p.grad for n, p in training.model.named_parameters() if p.grad is not None}
    return {"loss": torch.tensor(terms["loss"]), **gradients}


def share_of(rank: int, world_size: int) -> slice:
    return slice(rank * NUM_ROWS // world_size, (rank + 1) * NUM_ROWS // world_size)


def all_results(jobs: Jobs, rank: int, world_size: int) -> Results:
    results = {f"towers {loss}": towers_results(loss, rank, world_size) for loss in LOSSES}
    return results | {case: clip_results(job, rank, world_size) for case, job in jobs.items()}


def work(rank: int, jobs: Jobs, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    try:
        torch.save(all_results(jobs, rank, 2), f"{folder}/{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


def test_loss_and_gradient_of_two_processes_are_those_of_the_joined_batch(
    tmp_path: Path, tiny_config: ClipConfig, make_job: MakeJob
):
    jobs = {
        str(options): make_job(tiny_config, FinetuneConfig(num_steps=1, batch_size=8, **options))
        for options in OPTIONS
    }
    torch.multiprocessing.spawn(work, (jobs, str(tmp_path)), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for case, wanted in all_results(jobs, 0, 1).items():
        assert ranks[0][case].keys() == ranks[1][case].keys() == wanted.keys()
        for name, value in wanted.items():
            first, second = (rank[case][name] for rank in ranks)
            if name == "loss":
                first = second = (first + second) / 2
            for found in (first, second):
                atol = 1e-5 * float(value.abs().max())
                torch.testing.assert_close(found, value, rtol=1e-4, atol=atol, msg=f"{case} {name}")
