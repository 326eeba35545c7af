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
    from gist_ray.study.pipeline import run_pipeline

    run_pipeline(config, plan_only=False, until=until)


def artifact(root: str, key: str, of_run: str = "*") -> Artifact:
    """The artifact of a run, by default the only one that is kept in `root`, by its stage's key."""
    rows = storage.read_json(next(Path(root).glob(f"runs/{of_run}/stages.json")).as_posix())
    row = next(row for row in rows if row["key"] == key)
    found = ArtifactStore(root).find(row["stage"], row["fingerprint"])
    assert found is not None
    return found
