"""Starts and ends the nodes of a cluster on this machine, and knows which processes are its own."""

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

MARK = "GIST_RAY_CLUSTER_STATE"
"""Environment variable that every process of a cluster inherits; its value is the state folder."""

START_TIMEOUT_S = 120.0
NUM_ATTEMPTS = 3
POLL_S = 0.2


Env = dict[str, str]


class ClusterError(Exception):
    """Something its user can mend; the message says what."""


@dataclass(frozen=True)
class Node:
    """One node: its raylet, and the process group of all that `ray start` began with it."""

    name: str
    ip: str
    pid: int
    group: int
    cpus: int
    log: str


def up(
    state: Path, num_workers: int, cpus_per_node: int, object_store_mib: int, gpus_per_node: int
) -> dict[str, Any]:
    """Start the cluster and return what nodes.json says of it.

    Raises ClusterError, with nothing left running, if it is up already or a node does not come up.
    """
    if processes(state):
        raise ClusterError(f"The cluster {state.name} is up already: cluster/local.sh down first.")
    state.mkdir(parents=True, exist_ok=True)
    (state / "nodes.json").unlink(missing_ok=True)
    token = state / "token"
    with open(os.open(token, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    token.chmod(0o600)
    # Below /tmp, as the path of a socket in it may have no more than 107 bytes.
    temp_dir = tempfile.mkdtemp(prefix="gist-ray-", dir="/tmp")
    address = f"{_ip(0)}:{_free_port(_ip(0))}"
    dashboard_port = _free_port("127.0.0.1")
    cluster: dict[str, Any] = {
        "name": state.name,
        "address": address,
        "dashboard": f"http://127.0.0.1:{dashboard_port}",
        "token_file": str(token),
        "temp_dir": temp_dir,
    }
    common = [
        "--block",
        "--disable-usage-stats",
        f"--object-store-memory={object_store_mib << 20}",
        # Nodes that share a machine must not share a range of ports.
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--dashboard-agent-listen-port=0",
    ]
    head = [
        "--head",
        f"--port={address.rpartition(':')[2]}",
        "--num-cpus=0",
        "--num-gpus=0",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={dashboard_port}",
        f"--ray-client-server-port={_free_port(_ip(0))}",
    ]
    worker = [f"--address={address}", f"--num-cpus={cpus_per_node}", f"--num-gpus={gpus_per_node}"]
    worker += common
    cluster["worker_options"] = worker
    env = _node_environment(state, temp_dir)
    # Written before the first process, so that `down` finds all of them whatever happens.
    _write(state, cluster, [])
    try:
        nodes = [_start_node(state, env, "head", _ip(0), 0, [*head, *common])]
        with ThreadPoolExecutor() as pool:
            nodes += pool.map(
                lambda i: _start_node(state, env, f"worker{i}", _ip(i), cpus_per_node, worker),
                range(1, num_workers + 1),
            )
        _wait_for_dashboard(cluster["dashboard"], token.read_text())
    except BaseException:
        down(state, keep_logs=True)
        raise
    _write(state, cluster, nodes)
    (state / "env.sh").write_text(
        "".join(f"export {k}={shlex.quote(v)}\n" for k, v in environment(cluster).items())
    )
    return {**cluster, "nodes": [asdict(node) for node in nodes]}


def add(state: Path) -> Node:
    """Start one more worker like the others, as for one that died. Raises ClusterError."""
    cluster = read(state)
    if cluster is None:
        raise ClusterError(f"There is no cluster {state.name}: cluster/local.sh up N starts one.")
    nodes = [Node(**node) for node in cluster.pop("nodes")]
    env = _node_environment(state, cluster["temp_dir"])
    index, cpus = len(nodes), nodes[-1].cpus
    options = cluster["worker_options"]
    node = _start_node(state, env, f"worker{index}", _ip(index), cpus, options)
    _write(state, cluster, [*nodes, node])
    return node


def down(state: Path, keep_logs: bool = False) -> int:
    """End every process of this cluster and no other; returns how many there were."""
    ended = 0
    deadline = time.monotonic() + 30
    # Again until none is left: a process may have started another while it was ended.
    while (left := processes(state)) and time.monotonic() < deadline:
        # No chance for a farewell: with its head gone a node would wait for it for minutes.
        for process in left:
            _kill(process)
        psutil.wait_procs(left, timeout=5)
        ended += len(left)
    if left:
        raise ClusterError(f"Processes {[p.pid for p in left]} of {state.name} do not end.")
    cluster = read(state)
    if cluster:
        shutil.rmtree(cluster["temp_dir"], ignore_errors=True)
    for name in ("nodes.json", "env.sh", "token"):
        (state / name).unlink(missing_ok=True)
    if not keep_logs:
        shutil.rmtree(state, ignore_errors=True)
    return ended


def read(state: Path) -> dict[str, Any] | None:
    """What nodes.json says; None if there is no such cluster."""
    file = state / "nodes.json"
    return json.loads(file.read_text()) if file.is_file() else None


def processes(state: Path) -> list[psutil.Process]:
    """All running processes of the cluster, also workers and jobs that left their group."""
    return [p for p in psutil.process_iter() if _state_of(p) == str(state)]


def environment(cluster: dict[str, Any]) -> dict[str, str]:
    """What a process needs to join the cluster or to submit to it."""
    return {
        "RAY_ADDRESS": cluster["address"],
        "RAY_API_SERVER_ADDRESS": cluster["dashboard"],
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": cluster["token_file"],
    }


def _start_node(state: Path, env: Env, name: str, ip: str, cpus: int, options: list[str]) -> Node:
    """A node that is up, at the third attempt at the latest.

    On a busy machine one attempt may not do: `ray start` of 2.60 gives a raylet 30 s and no more.
    """
    for attempt in range(1, NUM_ATTEMPTS + 1):
        process = _ray_start(state, env, name, ip, options)
        try:
            return _wait(state, process, name, ip, cpus)
        except ClusterError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if attempt == NUM_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _node_environment(state: Path, temp_dir: str) -> Env:
    inherited = {k: v for k, v in os.environ.items() if k not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN")}
    return {
        **inherited,
        MARK: str(state),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(state / "token"),
        # Ray's workers rename themselves; by default their name overwrites the environment that
        # others see, the mark in it included.
        "SPT_NOENV": "1",
        "NO_COLOR": "1",
        # So that `python` in a job's command is this Python.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        # What workers and vLLM leave there goes with the cluster.
        "TMPDIR": temp_dir,
    }


def _ray_start(
    state: Path, env: Env, name: str, ip: str, options: list[str]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "ray.scripts.scripts", "start"]
    command += [f"--node-ip-address={ip}", f"--node-name={name}", *options]
    # Its own, as nodes that start side by side would else choose the same names of sockets.
    command.append(f"--temp-dir={env['TMPDIR']}/{name}")
    with open(state / f"{name}.log", "wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd="/",
            start_new_session=True,
        )


def _wait(state: Path, process: subprocess.Popen[bytes], name: str, ip: str, cpus: int) -> Node:
    log = state / f"{name}.log"
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ClusterError(f"The node {name} ended with code {process.returncode}{_end(log)}")
        if "Ray runtime started." in log.read_text(errors="replace"):
            for child in psutil.Process(process.pid).children():
                if child.name() == "raylet":
                    return Node(name, ip, child.pid, process.pid, cpus, str(log))
        time.sleep(POLL_S)
    raise ClusterError(f"The node {name} did not come up in {START_TIMEOUT_S:.0f} s{_end(log)}")


def _end(log: Path) -> str:
    return f"; the end of {log}:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _wait_for_dashboard(url: str, token: str) -> None:
    request = urllib.request.Request(
        f"{url}/api/version", headers={"Authorization": f"Bearer {token}"}
    )
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10)
            return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise ClusterError(f"The dashboard {url} does not answer: {error}.") from error
        time.sleep(POLL_S)


def _write(state: Path, cluster: dict[str, Any], nodes: list[Node]) -> None:
    content = {**cluster, "nodes": [asdict(node) for node in nodes]}
    temporary = state / ".nodes.json"
    temporary.write_text(json.dumps(content, indent=2) + "\n")
    temporary.rename(state / "nodes.json")


def _state_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def _ip(index: int) -> str:
    # Not 127.0.0.1, which Ray replaces by the address of the machine.
    return f"127.0.0.{index + 2}"


def _free_port(ip: str) -> int:
    with socket.socket() as listening:
        listening.bind((ip, 0))
        port: int = listening.getsockname()[1]
        return port
