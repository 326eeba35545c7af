"""What the tests of whole runs do: compose, run, find what was stored."""

from pathlib import Path

from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.study.config import RunConfig


def configured(*overrides: str) -> RunConfig:
    config: RunConfig = build(RunConfig, compose_values("config", list(overrides)))
    return config


def run(config: RunConfig, until: str | None = None) -> None:
    from gist_ray.run.run_job import run_job
    from gist_ray.study.job import study_job

    run_job(study_job(config), until=until)


def artifact(root: str, name: str, of_run: str = "*") -> Artifact:
    """The artifact of a run, by default the only one that is kept in `root`, by its stage's
    name."""
    rows = storage.read_json(next(Path(root).glob(f"runs/{of_run}/stages.json")).as_posix())
    row = next(row for row in rows if row["name"] == name)
    found = ArtifactStore(root).find(row["kind"], row["fingerprint"])
    assert found is not None
    return found
