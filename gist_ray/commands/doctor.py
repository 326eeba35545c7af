"""`gist-ray doctor`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gist_ray.commands.command import Command

if TYPE_CHECKING:
    from gist_ray.operate.checkup.finding import Finding


def findings() -> "Iterator[Finding]":
    """Yields all findings, each as soon as it is known."""
    from gist_ray.operate.checkup import machine, services, software
    from gist_ray.store import storage

    yield software.own()
    yield from software.packages()
    yield from software.imports()
    yield software.vllm()
    yield from software.bytecode()
    yield machine.cpus()
    yield machine.memory()
    yield _unless_broken("GPUs", machine.gpus)
    yield machine.shared_memory()
    yield machine.disk("disk", os.getcwd())
    yield machine.disk("cache", str(storage.cache_folder()))
    yield machine.open_files()
    yield services.sockets()
    yield services.ray()
    yield services.s3()


def _unless_broken(subject: str, check: "Callable[[], Finding]") -> "Finding":
    """Returns the finding of `check`, or of its failure. A torch that does not import has a line of
    its own and must not end the list."""
    from gist_ray.operate.checkup.finding import Finding

    try:
        return check()
    except Exception as error:
        return Finding("problem", subject, f"cannot be asked for ({error})", "Mend torch first.")


def run(arguments: argparse.Namespace) -> None:
    problems = 0
    for finding in findings():
        problems += finding.level == "problem"
        print(f"{finding.level:<8} {finding.subject:<14} {finding.found}", flush=True)
        if finding.fix:
            print(f"{'':<23} {finding.fix}", flush=True)
    if problems:
        print(f"\n{problems} problem{'s' if problems > 1 else ''} would stop a run.")
        sys.exit(1)


COMMAND = Command(
    name="doctor",
    summary="Check what this machine has and what a run would miss",
    examples="""
gist-ray doctor
RAY_ADDRESS=head:6379 AWS_PROFILE=team gist-ray doctor    # also that cluster and that S3
""",
    run=run,
    about="""\
One line each: ok, warning, or problem with its fix. Exit codes: 0 nothing would stop a run, 1 a
problem would. Takes some seconds, in which torch and open_clip are imported.""",
)
