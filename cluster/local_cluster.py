"""A Ray cluster of a head and N workers on this machine, each node a process group of its own.

It is a real cluster as far as jobs can tell: every node has its own raylet, object store and IP
(127.0.0.2 is the head, 127.0.0.3 the first worker), the head has no CPUs for work, as on KubeRay,
and all of them ask for a token. For trying out submission and for tests that kill nodes.

State is in <folder>/<name>/: nodes.json, token (mode 0600), env.sh, a log per node. The folder is
$GIST_RAY_CLUSTER, or ~/.cache/gist_ray/run/cluster.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
from local_nodes import ClusterError, add, down, read, up


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="cluster/local.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start a cluster and print how to use it")
    starting.add_argument("workers", type=int, metavar="N", help="nodes for work, beside the head")
    starting.add_argument(
        "--cpus-per-node", type=int, default=4, help="logical CPUs of each worker (4)"
    )
    starting.add_argument("--gpus-per-node", type=int, default=0, help="GPUs of each worker (0)")
    starting.add_argument(
        "--object-store-mib", type=int, default=200, help="object store of each node (200)"
    )
    adding = commands.add_parser("add", help="start one more worker, as for one that died")
    stopping = commands.add_parser("down", help="end this cluster, and no other Ray")
    showing = commands.add_parser("status", help="its nodes, with the pids of their raylets")
    showing.add_argument("--json", action="store_true", help="nodes.json, with what is alive")
    for command in (starting, adding, stopping, showing):
        command.add_argument("--name", default="default", help="several may be up side by side")
    arguments = parser.parse_args()
    state = folder() / arguments.name
    try:
        if arguments.command == "up":
            if arguments.workers < 1 or arguments.cpus_per_node < 1:
                raise ClusterError("A cluster needs at least one worker with at least one CPU.")
            cluster = up(
                state,
                arguments.workers,
                arguments.cpus_per_node,
                arguments.object_store_mib,
                arguments.gpus_per_node,
            )
            print(_how_to_use(state, cluster))
        elif arguments.command == "add":
            print(f"{add(state).name} joined {state.name}.")
        elif arguments.command == "down":
            print(f"{state.name}: {down(state)} processes ended.")
        else:
            _show(state, arguments.json)
    except ClusterError as error:
        sys.exit(str(error))


def folder() -> Path:
    """Where the states of all clusters are."""
    chosen = os.environ.get("GIST_RAY_CLUSTER")
    return Path(chosen).absolute() if chosen else Path.home() / ".cache" / "gist_ray" / "cluster"


def _show(state: Path, as_json: bool) -> None:
    cluster = read(state)
    if cluster is None:
        raise ClusterError(f"There is no cluster {state.name}: cluster/local.sh up N starts one.")
    cluster["nodes"] = [
        {**node, "alive": psutil.pid_exists(node["pid"])} for node in cluster["nodes"]
    ]
    if as_json:
        print(json.dumps(cluster, indent=2))
        return
    print(f"{state.name}: {cluster['address']}, dashboard {cluster['dashboard']}")
    for node in cluster["nodes"]:
        alive = "up" if node["alive"] else "dead"
        print(f"  {node['name']:9} {node['ip']:11} {node['cpus']:3} CPUs  {node['pid']:8}  {alive}")


def _how_to_use(state: Path, cluster: dict[str, Any]) -> str:
    num_workers = len(cluster["nodes"]) - 1
    cpus = cluster["nodes"][-1]["cpus"]
    return f"""{state.name}: a head and {num_workers} workers of {cpus} CPUs each, up.

  . {state}/env.sh       # RAY_ADDRESS={cluster["address"]}, and the token's file
  cluster/submit -- python jobs/run.py root=...     # or run a job directly: it joins
  cluster/local.sh down{"" if state.name == "default" else f" --name {state.name}"}

Dashboard: {cluster["dashboard"]} (asks for the token in {cluster["token_file"]})"""


if __name__ == "__main__":
    main()
