"""The commands whose jobs can be made again from their record."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gist_ray.audit.config import AuditConfig
from gist_ray.audit.job import audit_job
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.job import pack_job
from gist_ray.errors import UserError
from gist_ray.predict.config import PredictConfig
from gist_ray.predict.job import predict_job
from gist_ray.run.job import Job
from gist_ray.run.runs import read_config, read_plan
from gist_ray.settings.check import build
from gist_ray.study.config import RunConfig
from gist_ray.study.job import study_job


@dataclass(frozen=True)
class Command:
    """The settings class of a command, and the function that makes its job from a config.
    root_setting, name_setting: the settings of the root and the name; "" for a job whose name is
    none of its settings."""

    config: type
    job: Callable[[Any], Job]
    root_setting: str = "root"
    name_setting: str = "name"


COMMANDS = {
    "run": Command(RunConfig, study_job),
    "audit": Command(AuditConfig, audit_job),
    "predict": Command(PredictConfig, predict_job, root_setting="out", name_setting=""),
    "pack": Command(PackConfig, pack_job, root_setting="out", name_setting=""),
}
"""The commands whose failed rows may succeed later. Those of a pretraining or an export do not."""


def read_job(root: str, name: str) -> Job:
    """Returns the job that a run was last started with. Its root and its name are those of the
    folder where it was found: that may have moved.

    Raises UserError if there is no such run, or its command cannot be made again from its record.
    """
    values = read_config(root, name)
    plan = read_plan(root, name)
    command = plan.get("command", "run") if plan else "run"  # older versions recorded no other
    if command not in COMMANDS:
        raise UserError(f"--run {name}: is a run of {command}. Start that command again instead.")
    how = COMMANDS[command]
    values[how.root_setting] = root
    if how.name_setting:
        values[how.name_setting] = name
    return how.job(build(how.config, values))
