"""How many trials there is capacity for at once, such that none ever waits for what another holds
while that one waits for it.

Each trial is counted with all that it may hold at a time: a process that leads it, and then either
its group of training workers, or the encoder, decoder and writer of an embedding. As many trials
run at once as fit with all of that, so whatever a trial asks for is free or will be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ray
import torch

from gist_ray.run.cluster import cpus_without_connecting
from gist_ray.study.config import RunConfig

LEADER_CPUS = 0.001
"""The process that leads a trial mostly waits; Tune wants it to ask for something."""

BESIDE_ENCODER_CPUS = 1.5
"""The decoder and the writer of an embedding (encoders/stage.py, run/rows.py)."""


@dataclass(frozen=True)
class Need:
    """What one trial may hold at a time."""

    num_workers: int
    worker_cpus: float
    worker_gpus: float
    encoder_cpus: float
    encoder_gpus: float

    @property
    def cpus(self) -> float:
        embedding = self.encoder_cpus + BESIDE_ENCODER_CPUS
        return LEADER_CPUS + max(self.num_workers * self.worker_cpus, embedding)

    @property
    def gpus(self) -> float:
        return max(self.num_workers * self.worker_gpus, self.encoder_gpus)


Machine = tuple[float, float]
"""(CPUs, GPUs)"""


def need_of(configs: Sequence[RunConfig]) -> Need:
    """The most that one of the trials asks for."""
    tunes, embeds = [c.finetune for c in configs], [c.embed for c in configs]
    return Need(
        max(tune.num_workers for tune in tunes),
        max(tune.cpus_per_worker for tune in tunes),
        max(tune.gpus_per_worker for tune in tunes),
        max(embed.cpus_per_worker for embed in embeds),
        max(embed.gpus_per_worker for embed in embeds),
    )


def side_by_side(config: RunConfig) -> Machine:
    """What the stages of one trial may take together: one of the large at a time."""
    tune, embed = config.finetune, config.embed
    return (
        max(tune.num_workers * tune.cpus_per_worker, embed.cpus_per_worker),
        max(tune.num_workers * tune.gpus_per_worker, embed.gpus_per_worker),
    )


def num_fitting(need: Need, machines: Sequence[Machine]) -> int:
    """Trials that fit on these machines at once. A worker is on one machine, a group on any."""
    workers = sum(_times(need.worker_cpus, need.worker_gpus, machine) for machine in machines)
    cpus, gpus = (sum(amounts) for amounts in zip(*machines, strict=True))
    by_gpu = gpus / need.gpus if need.gpus else math.inf
    return int(min(workers // need.num_workers, _floor(cpus / need.cpus), _floor(by_gpu)))


def _times(cpus: float, gpus: float, machine: Machine) -> int:
    by_gpu = machine[1] / gpus if gpus else math.inf
    return int(min(_floor(machine[0] / cpus), _floor(by_gpu)))


def _floor(number: float) -> float:
    # 1 / 0.1 must not be 9
    return math.floor(number + 1e-6) if math.isfinite(number) else number


def num_on_this_machine(need: Need) -> int:
    """Trials that keep this machine's own CPUs and GPUs busy; at least one."""
    by_cpu = cpus_without_connecting() / (need.num_workers * need.worker_cpus)
    by_gpu = torch.cuda.device_count() / need.gpus if need.gpus else math.inf
    return max(1, int(min(_floor(by_cpu), _floor(by_gpu))))


def machines_of_cluster() -> list[Machine]:
    return [
        (node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()
        if node["Alive"]
    ]
