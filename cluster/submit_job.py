"""Runs a command on a Ray cluster with this project's code, and ends as the command ends.

  cluster/submit -- python jobs/run.py root=s3://bucket/prefix data=cub data.path=s3://...

The code is packed without data: what .gitignore and .rayignore name stays here, and so do tests
and docs. The log is followed. Ctrl-C leaves the job running and says how to come back to it or to
stop it. The exit code is the job's own: 0 done, 1 too many failed rows or a crash, 2 something to
mend in the command; 130 if it was stopped or left.

Address: --address, or RAY_API_SERVER_ADDRESS (http://head:8265), or RAY_ADDRESS. Token: the file
RAY_AUTH_TOKEN_PATH, or RAY_AUTH_TOKEN, or ~/.ray/auth_token. Secrets of the job, such as keys for
S3, belong to the nodes (a role, a mounted secret): what is submitted can be read in the dashboard.
"""

import argparse
import os
import re
import secrets
import shlex
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

EXCLUDES = [".git", ".venv", "venv", "__pycache__", "/results", "/tests", "/docs"]

MAX_MIB = 50
"""The code is some 12 MiB, the embedded model 9 of them."""

SECRET = re.compile(r"^AWS_|TOKEN|SECRET|KEY|PASSWORD|CREDENTIAL", re.IGNORECASE)
NO_SECRETS = {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}

EXIT_USER_ERROR = 2


def main() -> None:
    own, command = _split(sys.argv[1:])
    parser = argparse.ArgumentParser(
        prog="cluster/submit",
        usage="cluster/submit [options] -- COMMAND...",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--address", metavar="URL", help="the cluster's dashboard")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable for the job, from here unless a value is given; no secrets",
    )
    parser.add_argument("--submission-id", metavar="ID", help="a name of your own for the job")
    parser.add_argument("--no-wait", action="store_true", help="submit and leave")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--follow", metavar="ID", help="come back to a submitted job")
    doing.add_argument("--stop", metavar="ID", help="end a submitted job")
    arguments = parser.parse_args(own)
    has_job = bool(arguments.follow or arguments.stop)
    if bool(command) == has_job:
        parser.error("give a command after --, or the job to --follow or --stop")
    try:
        variables = job_variables(arguments.env)
        address = cluster_address(arguments.address)
    except ValueError as error:
        sys.exit(_complain(str(error)))
    # Only now: it takes a second, and reads the mode of authentication when it is imported.
    from jobs_of_cluster import Cluster, ClusterError

    try:
        cluster = Cluster(address)
        if arguments.stop:
            cluster.stop(arguments.stop)
            print(f"Stopped {arguments.stop}.")
        elif arguments.follow:
            sys.exit(_follow(cluster, arguments.follow))
        else:
            submission_id = arguments.submission_id or job_name(command)
            with tempfile.TemporaryDirectory() as folder:
                package = cluster.pack(PROJECT, Path(folder) / "code.zip", EXCLUDES, MAX_MIB)
                print(f"Code: {package.stat().st_size / 2**20:.1f} MiB of {PROJECT}")
                cluster.submit(submission_id, shlex.join(command), package, variables)
            print(f"Submitted {submission_id} to {address}", flush=True)
            if arguments.no_wait:
                print(f"Follow it with: cluster/submit --follow {submission_id}")
                return
            code = _follow(cluster, submission_id)
            if code == 1:
                again = shlex.join(["cluster/submit", *own, "--", *command])
                print(f"The same command goes on from what is stored:\n  {again}", file=sys.stderr)
            sys.exit(code)
    except ClusterError as error:
        sys.exit(_complain(str(error)))


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and the command after --."""
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def cluster_address(given: str | None) -> str:
    """The cluster to submit to, set such that Ray's client takes it; the token's mode as well.

    Raises ValueError if no cluster is named.
    """
    address = (
        given or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS") or ""
    )
    if not address:
        raise ValueError(
            "No cluster is named. Give --address http://HEAD:8265, or set RAY_API_SERVER_ADDRESS; "
            "for a cluster of cluster/local.sh, source the env.sh that `up` names."
        )
    # Ray's client would take either variable before the address it is given.
    os.environ["RAY_API_SERVER_ADDRESS"] = address
    if _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    return address


def _has_token() -> bool:
    named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(named) or (Path.home() / ".ray" / "auth_token").is_file()


def job_variables(words: list[str]) -> dict[str, str]:
    """The variables of --env. Raises ValueError for one that is not set or looks like a secret."""
    variables = {}
    for word in words:
        name, has_value, value = word.partition("=")
        if SECRET.search(name) and name not in NO_SECRETS:
            raise ValueError(
                f"--env {name}: looks like a secret, and what is submitted can be read by everyone "
                "who sees the dashboard. Give it to the nodes instead: an instance role, a service "
                "account, or a mounted secret (docs/clusters.md)."
            )
        if not has_value and name not in os.environ:
            raise ValueError(f"--env {name}: is not set here. Set it, or give --env {name}=VALUE.")
        variables[name] = value if has_value else os.environ[name]
    return variables


def job_name(command: list[str]) -> str:
    """A name for the job that tells what and when: pipeline-20261121-104512-3fa9."""
    script = next((word for word in command if word.endswith(".py")), command[0])
    stem = re.sub(r"[^\w-]", "_", Path(script).stem)
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _follow(cluster: "Cluster", submission_id: str) -> int:  # type: ignore[name-defined]  # noqa: F821
    try:
        return cluster.follow(submission_id)
    except KeyboardInterrupt:
        print(
            f"\n{submission_id} runs on.\n  cluster/submit --follow {submission_id}\n"
            f"  cluster/submit --stop {submission_id}",
            file=sys.stderr,
        )
        return 130


def _complain(problem: str) -> int:
    print(problem, file=sys.stderr)
    return EXIT_USER_ERROR


if __name__ == "__main__":
    main()
