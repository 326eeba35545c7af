"""The commands whose runs can be made again from their record."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from gist_ray.errors import UserError
from gist_ray.run.job import Job
from gist_ray.run.runs import read_config, read_plan
from gist_ray.settings.check import build
from gist_ray.study.config import RunConfig
from gist_ray.study.job import study_job


@dataclass(frozen=True)
class Command:
    """How a command makes its job. root_setting: the setting that is the root."""

    config: type
    job: Callable[[Any], Job]
    root_setting: str = "root"


COMMANDS = {"run": Command(RunConfig, study_job)}


def read_job(root: str, name: str) -> Job:
    """Returns the job that a run was last started with. Its root is where it was found: a folder
    may have moved.

    Raises UserError if there is no such run, or its command cannot be made again from its record.
    """
    values = read_config(root, name)
    plan = read_plan(root, name)
    command = plan["command"] if plan else "run"
    if command not in COMMANDS:
        raise UserError(f"--run {name}: is a run of {command}. Start that command again instead.")
    how = COMMANDS[command]
    config = build(how.config, {**values, how.root_setting: root})
    return replace(how.job(config), name=name)
