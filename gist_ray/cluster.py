"""Connects to Ray: to a cluster where one is named, else to one of our own on this machine."""

import logging
import os

import ray

# Ray Data needs room for its pools beside the trainers; with 2 CPUs they starve (spec of Ray 2.60).
MIN_LOCAL_CPUS = 4

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


def cpus_without_connecting() -> float:
    """CPUs of this machine, as far as this process may use them."""
    return float(len(os.sched_getaffinity(0)))


def _local_cpus() -> int:
    return max(MIN_LOCAL_CPUS, int(cpus_without_connecting()))
