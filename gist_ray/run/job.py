"""A job: a config, a graph of stages and a function that writes the results. Every command that
does work is a job."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gist_ray.errors import UserError
from gist_ray.run.cluster import (
    cpus_without_connecting,
    gpus_without_connecting,
    is_local,
    relative_in_job,
)
from gist_ray.run.resources import Resources
from gist_ray.run.runs import read_plan, run_folder
from gist_ray.run.stage import Done, Stage
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.store.reachable import why_unwritable

Finish = Callable[[ArtifactStore, Mapping[str, Done]], Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command's work before it starts: config, stages and the function that ends it."""

    command: str
    """The command that makes the job from its config: "run", "predict"."""

    name: str
    """Its folder below root/runs."""

    config: Any
    """The settings object it was made of, written down as config.yaml."""

    root: str
    """Where its artifacts and its record are kept."""

    stages: Sequence[Stage]
    """Each once, after what it is made from."""

    finish: Finish
    """Called with the artifacts of all stages, by name: writes the results and returns the lines to
    print."""

    max_failed_fraction: float = 0.0
    """Largest share of a stage's rows that may fail."""

    about: Sequence[str] = field(default_factory=tuple)
    """Lines that are printed above the plan: facts about the data."""

    root_setting: str = "root"
    """The setting that names the root, for messages."""


def folders_of(job: Job) -> dict[str, str]:
    """Returns {setting: folder or URI} that every node of a cluster has to see."""
    found = {job.root_setting: job.root}
    for stage in job.stages:
        found |= stage.folders
    return found


def problems_of(job: Job) -> list[str]:
    """Returns all problems of a job that can be found before any work."""
    problems = []
    if why := why_no_root(job.root) or why_unwritable(job.root):
        problems.append(f"{job.root_setting}={job.root}: {why}.")
    elif other := _command_of_record(job):
        problems.append(
            f"{run_folder(job.root, job.name)}: is the record of another command, {other}. Choose "
            f"another {job.root_setting}, or delete this record with clean --run {job.name}."
        )
    problems += relative_in_job(folders_of(job))
    problems += resource_problems([stage.resources for stage in job.stages])
    return list(dict.fromkeys(problems))


def _command_of_record(job: Job) -> str:
    """Returns the other command that left a record of this job's name; "" if none did."""
    try:
        plan = read_plan(job.root, job.name)
    except UserError:
        return ""  # it is damaged, and the job writes it anew
    # records of the first edition do not say it
    found = plan.get("command", job.command) if plan else job.command
    return found if found != job.command else ""


def why_no_root(root: str) -> str:
    if not root or root.startswith("~") or storage.absolute(root) == "/":
        return "has to be a folder of its own, written out, such as results or s3://bucket/results"
    return ""


def resource_problems(wants: Sequence[Resources]) -> list[str]:
    """Returns the resources that this machine lacks, as problems. On a cluster (RAY_ADDRESS) the
    list is empty, because nodes may still join."""
    if not is_local():
        return []
    num_cpus, num_gpus = cpus_without_connecting(), gpus_without_connecting()
    problems = [
        f"{want.cpus_from} asks for {want.cpus:g} CPUs and this machine gives Ray {num_cpus:g}. "
        "Ask for less, or set RAY_ADDRESS to a cluster."
        for want in wants
        if want.cpus_from and want.cpus > num_cpus
    ]
    return problems + [
        f"{want.gpus_from} asks for {want.gpus:g} GPUs and this machine has {num_gpus}. Set it to "
        "0 to run on the CPU, or set RAY_ADDRESS to a cluster."
        for want in wants
        if want.gpus_from and want.gpus > num_gpus
    ]
