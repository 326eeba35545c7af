"""The number of trials that can run at once without a deadlock.

Each trial is counted with all that it may hold at a time: a process that leads it, with a warm
worker on the same machine where trainings run in one; and then either its group of training workers
on Ray Train, or the encoder, decoder and writer of an embedding on Ray Data. As many trials run at
once as fit with all of that, so whatever a trial asks for is free or will be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ray
import torch

from gist_ray.run.cluster import cpus_without_connecting
from gist_ray.study.config import RunConfig
from gist_ray.train.trainer import fits_warm_worker

LEADER_CPUS = 0.001
"""The process that leads a trial mostly waits; Tune wants it to ask for something."""

BESIDE_ENCODER_CPUS = 1.5
"""The decoder and the writer of an embedding (encoders/stage.py, run/rows.py)."""


@dataclass(frozen=True)
class Need:
    """The most that one trial may hold at a time, in CPUs and GPUs."""

    num_workers: int
    """Of a training on Ray Train; 0 where all trainings run in warm workers."""
    worker_cpus: float
    worker_gpus: float
    encoder_cpus: float
    encoder_gpus: float
    warm_cpus: float = 0
    """Of a training in a warm worker. A warm worker asks Ray for none, so its leader does."""

    @property
    def leader_cpus(self) -> float:
        """CPUs that the leading process asks Ray for, from the trial's beginning to its end."""
        return LEADER_CPUS + self.warm_cpus

    @property
    def training_cpus(self) -> float:
        """CPUs that a training keeps busy."""
        return max(self.warm_cpus, self.num_workers * self.worker_cpus)

    @property
    def cpus(self) -> float:
        embedding = self.encoder_cpus + BESIDE_ENCODER_CPUS
        return self.leader_cpus + max(self.num_workers * self.worker_cpus, embedding)

    @property
    def gpus(self) -> float:
        return max(self.num_workers * self.worker_gpus, self.encoder_gpus)


Machine = tuple[float, float]
"""(CPUs, GPUs)"""


def need_of(configs: Sequence[RunConfig]) -> Need:
    """Returns the most that one of the trials asks for."""
    tunes, embeds = [c.finetune for c in configs], [c.embed for c in configs]
    warm = [tune for tune in tunes if fits_warm_worker(tune)]
    groups = [tune for tune in tunes if not fits_warm_worker(tune)]
    return Need(
        max((tune.num_workers for tune in groups), default=0),
        max((tune.cpus_per_worker for tune in groups), default=0),
        max((tune.gpus_per_worker for tune in groups), default=0),
        max(embed.cpus_per_worker for embed in embeds),
        max(embed.gpus_per_worker for embed in embeds),
        max((tune.cpus_per_worker for tune in warm), default=0),
    )


def side_by_side(config: RunConfig) -> Machine:
    """Returns the (CPUs, GPUs) that the stages of one trial may take together: enough for the
    largest of them."""
    tune, embed = config.finetune, config.embed
    return (
        max(tune.num_workers * tune.cpus_per_worker, embed.cpus_per_worker),
        max(tune.num_workers * tune.gpus_per_worker, embed.gpus_per_worker),
    )


def num_fitting(need: Need, machines: Sequence[Machine]) -> int:
    """Returns how many trials fit on these machines at once. A worker is on one machine, and so is
    a leader with its warm worker; a group of workers is on any."""
    cpus, gpus = (sum(amounts) for amounts in zip(*machines, strict=True))
    by_gpu = gpus / need.gpus if need.gpus else math.inf
    leaders = sum(_times(need.leader_cpus, 0, machine) for machine in machines)
    fitting = min(leaders, _floor(cpus / need.cpus), _floor(by_gpu))
    if need.num_workers:
        workers = sum(_times(need.worker_cpus, need.worker_gpus, machine) for machine in machines)
        fitting = min(fitting, workers // need.num_workers)
    return int(fitting)


def _times(cpus: float, gpus: float, machine: Machine) -> float:
    by_gpu = machine[1] / gpus if gpus else math.inf
    return min(_floor(machine[0] / cpus), _floor(by_gpu))


def _floor(number: float) -> float:
    # 1 / 0.1 must not be 9
    return math.floor(number + 1e-6) if math.isfinite(number) else number


def num_on_this_machine(need: Need) -> int:
    """Returns how many trials keep this machine's own CPUs and GPUs busy; at least one."""
    by_cpu = cpus_without_connecting() / need.training_cpus
    by_gpu = torch.cuda.device_count() / need.gpus if need.gpus else math.inf
    return max(1, int(min(_floor(by_cpu), _floor(by_gpu))))


def machines_of_cluster() -> list[Machine]:
    return [
        (node["Resources"].get("CPU", 0.0), node["Resources"].get("GPU", 0.0))
        for node in ray.nodes()
        if node["Alive"]
    ]
