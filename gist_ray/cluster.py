"""Connects to Ray: to a cluster where one is named, else to one of our own on this machine."""

import logging
import os

import ray

from gist_ray.errors import UserError
from gist_ray.progress import duration

# Ray Data needs room for its pools beside the trainers; with 2 CPUs they starve (spec of Ray 2.60).
MIN_LOCAL_CPUS = 4

# How long a stage waits for machines that died to come back.
PATIENCE_S = 900

# Small CPU training steps are several times steadier without page faults and spinning threads.
STEADY_CPU = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "536870912",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def connect() -> float:
    """Join the cluster of RAY_ADDRESS or start a local one; returns its number of CPUs."""
    for name in ("ray", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What the C++ half prints to the driver's terminal are remarks on its own workings.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not ray.is_initialized():
        # Named, or Ray would join whatever cluster was last started on this machine.
        own = {"address": "local", "num_cpus": _local_cpus()}
        local = {} if os.environ.get("RAY_ADDRESS") else own
        ray.init(
            include_dashboard=None if not local else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": STEADY_CPU},
            **local,
        )
    return float(ray.cluster_resources().get("CPU", 1))


def no_room(what: str) -> UserError:
    """What its owner is told when `what` has waited PATIENCE_S for machines that are not there."""
    has = ray.cluster_resources()
    return UserError(
        f"{what}: nothing went forward for {duration(PATIENCE_S)}. The cluster now has "
        f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs: add machines or ask for "
        "less, and the same command goes on from what is stored. If that is room enough, a worker "
        "hangs: see the workers' logs."
    )


def cluster_resources() -> dict[str, float]:
    """CPUs, GPUs and nodes of the cluster; nothing where none was needed."""
    if not ray.is_initialized():
        return {}
    found = {name: ray.cluster_resources().get(name, 0.0) for name in ("CPU", "GPU")}
    return {**found, "nodes": float(sum(node["Alive"] for node in ray.nodes()))}


def cpus_without_connecting() -> float:
    """CPUs of this machine, as far as this process may use them."""
    return float(len(os.sched_getaffinity(0)))


def _local_cpus() -> int:
    return max(MIN_LOCAL_CPUS, int(cpus_without_connecting()))
