"""Findings about what a run connects to: Ray and its sockets, a cluster, S3."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gist_ray.operate.checkup.finding import Finding

CONNECT_S = 5.0
RAY_ANSWER_S = 60.0
S3_ANSWER_S = 20.0

RAY_SOCKET = "ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path of a socket that Ray makes below its temporary folder."""

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
S3_VARIABLES = (*ENDPOINTS, "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN", "FSSPEC_S3_KEY")


def sockets(environment: Mapping[str, str] = os.environ) -> Finding:
    """Returns the finding whether a Unix socket with a path as long as Ray's can be made in Ray's
    temporary folder."""
    folder = environment.get("RAY_TMPDIR") or environment.get("TMPDIR") or "/tmp"
    length = len(os.path.join(folder, RAY_SOCKET).encode())
    shown = f"{length} bytes long below {folder}"
    try:
        made = tempfile.mkdtemp(prefix="gr", dir=folder)
        try:
            _bind(os.path.join(made, "x" * max(1, length - len(made.encode()) - 1)))
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        fix = "Ray cannot start: set RAY_TMPDIR to a writable folder with a short path."
        return Finding("problem", "sockets", f"{shown}: {error}", fix)
    return Finding("ok", "sockets", shown)


def _bind(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


def ray(environment: Mapping[str, str] = os.environ) -> Finding:
    """Returns the finding whether the cluster of RAY_ADDRESS answers; without RAY_ADDRESS, a run
    starts Ray by itself."""
    address = environment.get("RAY_ADDRESS", "")
    if address in ("", "local"):
        return Finding("ok", "Ray", "RAY_ADDRESS is not set; a run starts Ray on this machine")
    fix = "Start the cluster, mend RAY_ADDRESS, or unset it to run on this machine."
    place = urlsplit(address if "://" in address else f"ray://{address}")
    if address != "auto" and (why := unreachable(place.hostname, place.port or 6379)):
        return Finding("problem", "Ray", f"RAY_ADDRESS={address}: {why}", fix)
    if "://" not in address and (why := _no_status(address)):
        return Finding("problem", "Ray", f"RAY_ADDRESS={address}: {why}", fix)
    return Finding("ok", "Ray", f"RAY_ADDRESS={address} answers")


def unreachable(host: str | None, port: int, timeout_s: float = CONNECT_S) -> str:
    """Returns "" if a TCP connection can be opened within `timeout_s`, else the reason."""
    try:
        socket.create_connection((host or "", port), timeout_s).close()
    except (OSError, OverflowError) as error:
        return f"no connection to {host}:{port} ({error})"
    return ""


def _no_status(address: str) -> str:
    """Returns "" if `ray status` gets an answer, else the reason. It runs in a process of its own,
    because Ray's client may hang."""
    ray = Path(sys.executable).with_name("ray")
    try:
        done = subprocess.run(
            [ray, "status", "--address", address],
            capture_output=True,
            text=True,
            timeout=RAY_ANSWER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"something listens there, but Ray did not answer within {RAY_ANSWER_S:g} s"
    except OSError as error:
        return f"{ray} cannot be started ({error})"
    last = (done.stderr or done.stdout).strip().splitlines()[-1:]
    return "" if done.returncode == 0 else "; ".join(["Ray does not answer", *last])


def s3(environment: Mapping[str, str] = os.environ) -> Finding:
    """Returns the finding whether the S3 that the environment names answers and accepts the
    credentials. It shows the place and where the credentials come from, never the credentials.

    Only the place is shown, and where credentials come from, never what they are.
    """
    endpoint = next((environment[name] for name in ENDPOINTS if environment.get(name)), "")
    files = [Path(environment.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))]
    files += [Path(environment.get("AWS_CONFIG_FILE", "~/.aws/config"))]
    named = any(environment.get(name) for name in S3_VARIABLES)
    if not named and not any(file.expanduser().is_file() for file in files):
        return Finding("ok", "S3", "nothing is set up; only s3:// addresses need it")
    place = endpoint_shown(endpoint)
    if endpoint:
        parts = urlsplit(endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if why := unreachable(parts.hostname, port):
            return Finding("problem", "S3", f"{place}: {why}", f"Start it, or mend {ENDPOINTS[1]}.")
    return s3_finding(place, _listing_failed())


def endpoint_shown(endpoint: str) -> str:
    """Returns the endpoint without user and password."""
    if not endpoint:
        return "AWS"
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _listing_failed() -> Exception | None:
    """Returns the exception of a request that every S3 supports, None if it was answered."""
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    from gist_ray.store import s3

    try:
        s3.filesystem().call_s3("list_buckets", timeout=S3_ANSWER_S)
    except (BotoCoreError, ClientError, OSError) as error:
        return error
    return None


def s3_finding(place: str, error: Exception | None) -> Finding:
    """Returns the finding about S3. error: the exception of listing the buckets, if any."""
    from gist_ray.store.retry import failure_kind

    if error is None:
        return Finding("ok", "S3", f"{place} answers and takes the credentials")
    code = answer_code(error)
    if code == "AccessDenied":
        shown = f"{place} answers; these credentials may not list buckets, which no run needs"
        return Finding("ok", "S3", shown)
    if failure_kind(error) == "forbidden":
        fix = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or a role (docs/s3.md)."
        return Finding("problem", "S3", f"{place} refuses the credentials ({code})", fix)
    fix = "Mend AWS_ENDPOINT_URL and AWS_REGION, or try again later (docs/s3.md)."
    return Finding("problem", "S3", f"{place} does not answer ({code})", fix)


def answer_code(error: BaseException) -> str:
    """Returns the code of the server's answer, else the name of the exception. Neither holds a
    secret."""
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict) and (code := response.get("Error", {}).get("Code")):
            return str(code)
        seen = seen.__cause__
    return type(error).__name__
