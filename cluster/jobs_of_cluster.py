"""Jobs on a Ray cluster through its HTTP interface: pack the code, submit, follow, stop."""

import asyncio
import logging
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import aiohttp
from ray._private.runtime_env.packaging import create_package
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

PATIENCE_S = 60.0
"""How long a head that does not answer is asked again."""

EXIT_STOPPED = 130


class ClusterError(Exception):
    """Something its user can mend; the message says what."""


class Cluster:
    """A cluster that takes jobs. Raises ClusterError where it does not answer, or not to us."""

    def __init__(self, address: str) -> None:
        self.address = address
        logging.disable(logging.INFO)  # of its client, which would be among the job's own lines
        try:
            self.client = JobSubmissionClient(address)
        except (AuthenticationError, RuntimeError, ConnectionError, OSError, ValueError) as error:
            raise self._explained(error) from error

    def pack(self, project: Path, target: Path, excludes: list[str], max_mib: int) -> Path:
        """Zip the code as Ray would, so that the size is known before it travels.

        Raises ClusterError if it is larger than a project's code can be.
        """
        create_package(
            str(project),
            target,
            include_gitignore=True,
            excludes=excludes,
            logger=logging.getLogger("ray.packing"),
        )
        size = target.stat().st_size / 2**20
        if size > max_mib:
            largest = sorted(_sizes(target).items(), key=lambda item: -item[1])[:5]
            listed = ", ".join(f"{name} ({mib:.1f} MiB)" for name, mib in largest)
            raise ClusterError(
                f"The code in {project} is {size:.0f} MiB, more than {max_mib}. The largest are "
                f"{listed}. Name what is no code in a file .rayignore there (as in a .gitignore), "
                "and put data on S3 or a shared filesystem."
            )
        return target

    def submit(
        self, submission_id: str, command: str, package: Path, variables: dict[str, str]
    ) -> None:
        try:
            self.client.submit_job(
                entrypoint=command,
                submission_id=submission_id,
                runtime_env={"working_dir": str(package), "env_vars": variables},
            )
        except (AuthenticationError, RuntimeError, ConnectionError, OSError) as error:
            raise self._explained(error) from error

    def stop(self, submission_id: str) -> None:
        try:
            self.client.stop_job(submission_id)
        except (AuthenticationError, RuntimeError, ConnectionError, OSError) as error:
            raise self._explained(error) from error

    def follow(self, submission_id: str) -> int:
        """Print the job's log until it ends; returns its exit code."""
        try:
            self.client.get_job_status(submission_id)
        except (AuthenticationError, RuntimeError, ConnectionError, OSError) as error:
            raise self._explained(error) from error
        shown = 0
        silent_since: float | None = None
        while True:
            try:
                shown = asyncio.run(self._print_log(submission_id, shown))
                info = self.client.get_job_info(submission_id)
            except (RuntimeError, OSError, aiohttp.ClientError) as error:
                # A connection that lasts as long as a job does is cut now and then.
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > PATIENCE_S:
                    raise self._explained(error) from error
                time.sleep(1)
                continue
            silent_since = None
            if info.status.is_terminal():
                break
            time.sleep(0.5)
        if info.status == JobStatus.SUCCEEDED:
            return 0
        if info.status == JobStatus.STOPPED:
            print(f"{submission_id} was stopped.", file=sys.stderr)
            return EXIT_STOPPED
        code = info.driver_exit_code
        if code is None or code < 0:
            # The command itself had no chance to say what was wrong.
            print(f"{submission_id} failed: {info.message}", file=sys.stderr)
        return 1 if not code else 128 - code if code < 0 else code

    async def _print_log(self, submission_id: str, shown: int) -> int:
        """Print what comes after the first `shown` characters; returns how many are shown then."""
        seen = 0
        async for lines in self.client.tail_job_logs(submission_id):
            new = lines[max(0, shown - seen) :]
            seen += len(lines)
            print(new, end="", flush=True)
            shown = max(shown, seen)
        return shown

    def _explained(self, error: Exception) -> ClusterError:
        if isinstance(error, AuthenticationError):
            return ClusterError(
                f"The cluster {self.address} does not take the token. Set RAY_AUTH_TOKEN_PATH to "
                "the file with its token (for cluster/local.sh: source its env.sh; on KubeRay: the "
                "secret named after the cluster, key auth_token)."
            )
        if isinstance(error, (OSError, aiohttp.ClientError)):
            return ClusterError(
                f"The cluster {self.address} does not answer. Is it the dashboard's address "
                "(http://HEAD:8265), and is the way there open (a port-forward, `ray dashboard`)?"
            )
        return ClusterError(f"The cluster {self.address}: {error}")


def _sizes(package: Path) -> dict[str, float]:
    """MiB of each file of a zip, by its first two folders."""
    sizes: dict[str, float] = {}
    with ZipFile(package) as archive:
        for entry in archive.infolist():
            name = "/".join(entry.filename.split("/")[:2])
            sizes[name] = sizes.get(name, 0) + entry.file_size / 2**20
    return sizes
