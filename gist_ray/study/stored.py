"""The config and the artifacts of a finished run of the study, read from its record."""

from gist_ray.errors import UserError
from gist_ray.run.runs import RUNS, read_config
from gist_ray.run.stage import Stage
from gist_ray.settings.check import build
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.study.config import RunConfig


def read_run(root: str, name: str) -> RunConfig:
    """Returns the config that a run was last started with. Its root is where it was found: a folder
    may have moved. Raises UserError if there is no such run."""
    config: RunConfig = build(RunConfig, {**read_config(root, name), "root": root, "name": name})
    return config


def root_and_name(folder: str) -> tuple[str, str]:
    """Returns the root and the name of a run's folder, <root>/runs/<name>."""
    parts = storage.absolute(folder).rsplit("/", 2)
    if len(parts) < 3 or parts[1] != RUNS:
        raise UserError(f"run={folder}: is no folder of a run, <root>/{RUNS}/<name>.")
    return parts[0], parts[2]


def stored(store: ArtifactStore, stage: Stage) -> Artifact:
    """Returns a stage's artifact. Raises UserError if it is not stored."""
    found = stage.find(store)
    if found is None:
        raise UserError(
            f"{stage.name}: is not stored in {store.root}. Run it to its end first; if it ran, its "
            "data or its model has changed since."
        )
    return found
