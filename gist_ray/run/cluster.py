"""Connections to Ray: to a named cluster, else to a local one."""

import logging
import math
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import ray
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gist_ray.errors import UserError
from gist_ray.run.progress import duration
from gist_ray.store import storage

# Ray Data needs CPUs for its pools beside the trainers; with 2 CPUs they starve (spec of Ray 2.60).
MIN_LOCAL_CPUS = 4

# How long a stage waits for machines that died to come back.
PATIENCE_S = 900

ANSWER_TIMEOUT_S = 5

LONGEST_SOCKET_PATH = 107
SOCKET_BELOW_TEMP = len("/ray/session_2026-11-28_05-10-15_123456_1234567/sockets/plasma_store.1")

SLOW_START = "timed out during startup"
"""In the message of Ray's exception, which has no class of its own."""

# Small CPU training steps are several times steadier without page faults and spinning threads.
STEADY_CPU = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "20000000000",
    "MALLOC_TOP_PAD_": "536870912",
    "OMP_WAIT_POLICY": "PASSIVE",
}

Result = TypeVar("Result")


def connect(min_cpus: float = 0, *, dashboard: bool = False) -> float:
    """Joins the cluster of RAY_ADDRESS or starts a local one; returns its number of CPUs.

    A local one says of itself that it has at least `min_cpus`, and has a dashboard if asked for.
    Raises UserError if nothing answers at RAY_ADDRESS.
    """
    for name in ("ray", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What the C++ half prints to the driver's terminal are remarks on its own workings.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    if not ray.is_initialized():
        # Named, or Ray would join whatever cluster was last started on this machine.
        own = {
            "address": "local",
            "num_cpus": max(_local_cpus(), math.ceil(min_cpus)),
            **_short_temp_dir(),
        }
        local = {} if os.environ.get("RAY_ADDRESS") else own
        _check_answers(os.environ.get("RAY_ADDRESS", ""))
        start = partial(
            ray.init,
            include_dashboard=dashboard if local else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            # What the job's submission or its owner sets already stays; Ray would refuse both.
            runtime_env={"env_vars": {k: v for k, v in STEADY_CPU.items() if k not in os.environ}},
            **local,
        )
        _started(start)
    return float(ray.cluster_resources().get("CPU", 1))


def _short_temp_dir() -> dict[str, str]:
    """Returns ray.init's setting of a folder whose sockets have paths that the system takes; {} if
    the usual one is short enough. Raises UserError if none is."""
    usual = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(usual)) + SOCKET_BELOW_TEMP <= LONGEST_SOCKET_PATH:
        return {}
    if os.access("/tmp", os.W_OK):
        return {"_temp_dir": "/tmp/ray"}
    raise UserError(
        f"Ray cannot start: the paths of its sockets below {usual} are longer than the "
        f"{LONGEST_SOCKET_PATH} bytes that the system takes. Set RAY_TMPDIR to a short path."
    )


def _started(start: Callable[[], object]) -> None:
    """Starts Ray, again if it was not up within the 30 s that it gives itself (Ray 2.60): on a busy
    machine its processes take longer, and the second time their files are in memory."""
    for is_last in (False, False, True):
        try:
            start()
            return
        except Exception as error:
            if is_last or SLOW_START not in str(error):
                raise
            ray.shutdown()


def _check_answers(address: str) -> None:
    """Raises UserError if nothing listens at a cluster's address, for which Ray would wait for
    minutes. Names that Ray resolves itself, such as "auto", are not checked."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_TIMEOUT_S).close()
    except OSError as error:
        raise UserError(
            f"RAY_ADDRESS={address}: no cluster answers there ({error}). Correct it, start the "
            "cluster, or unset RAY_ADDRESS to run on this machine."
        ) from error


def no_capacity(what: str) -> UserError:
    """Returns the message to the user when `what` has waited PATIENCE_S for resources that the
    cluster lacks."""
    has = ray.cluster_resources()
    return UserError(
        f"{what}: nothing went forward for {duration(PATIENCE_S)}. The cluster now has "
        f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs: add machines or ask for "
        "less, and the same command goes on from what is stored. If that is enough, a worker "
        "hangs: see the workers' logs."
    )


def cluster_resources() -> dict[str, float]:
    """Returns the numbers of CPUs, GPUs and nodes of the cluster; {} if none is connected."""
    if not ray.is_initialized():
        return {}
    found = {name: ray.cluster_resources().get(name, 0.0) for name in ("CPU", "GPU")}
    return {**found, "nodes": float(sum(node["Alive"] for node in ray.nodes()))}


def on_every_node(work: Callable[[], Result]) -> list[tuple[str, Result]]:
    """Returns (node, result of `work` on it) for each node that is up now. It takes no node's
    CPU."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) == 1:
        return [(nodes[0]["NodeName"], work())]
    task = ray.remote(num_cpus=0)(work)
    there = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    results = ray.get([task.options(scheduling_strategy=node).remote() for node in there])
    return [(node["NodeName"], result) for node, result in zip(nodes, results, strict=True)]


def require_shared(folders: Mapping[str, str]) -> None:
    """Raises UserError for a local folder ({setting: folder}) that some node cannot see."""
    local = {what: storage.absolute(uri) for what, uri in folders.items() if storage.is_local(uri)}
    if not local or sum(node["Alive"] for node in ray.nodes()) < 2:
        return
    seen = on_every_node(lambda: {what: os.path.exists(path) for what, path in local.items()})
    problems = []
    for what, path in local.items():
        blind = [node for node, found in seen if not found[what]]
        if blind:
            problems.append(
                f"{what}={path}: {len(blind)} of {len(seen)} nodes of the cluster do not see this "
                f"folder ({', '.join(blind[:3])}). Put it on a filesystem that all nodes share, "
                "or on s3://."
            )
    if problems:
        raise UserError(problems)


def relative_in_job(folders: Mapping[str, str]) -> list[str]:
    """Returns the problems of relative folders ({setting: folder}) in a submitted job."""
    if RAY_JOB_CONFIG_JSON_ENV_VAR not in os.environ:
        return []
    return [
        f"{what}={uri}: in a submitted job this is a place in a temporary copy of the code, which "
        "goes with the job. Give s3://bucket/prefix, or the full path of a folder on a filesystem "
        "that all nodes share."
        for what, uri in folders.items()
        if storage.is_local(uri) and not os.path.isabs(uri.removeprefix("file://"))
    ]


def cpus_without_connecting() -> float:
    """Returns the number of CPUs of this machine that this process may use."""
    return float(len(os.sched_getaffinity(0)))


def gpus_without_connecting() -> int:
    """Returns the number of CUDA devices of this machine that this process may use."""
    import torch  # costs seconds, and few callers ask

    return torch.cuda.device_count()


def is_local() -> bool:
    """Returns whether jobs run on a local Ray on this machine."""
    return not os.environ.get("RAY_ADDRESS")


def _local_cpus() -> int:
    return max(MIN_LOCAL_CPUS, int(cpus_without_connecting()))
