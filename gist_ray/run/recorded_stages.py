"""The stages of a run as its record and its store know them, without what they were made from."""

from collections.abc import Mapping

from gist_ray.errors import UserError
from gist_ray.run.progress import Progress
from gist_ray.run.runs import PlannedStage, read_plan
from gist_ray.run.stage import Stage
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter


def recorded_stages(store: ArtifactStore, name: str) -> dict[str, Stage]:
    """Returns {name: stage} of the stages that the run `name` was last started with and that are
    stored with all that they were made from. They have the fingerprints that were recorded, and
    cannot be made again."""
    plan = read_plan(store.root, name)
    found: dict[str, Stage] = {}
    sources: dict[str, Stage] = {}
    for planned in plan["stages"] if plan else []:
        artifact = store.find(planned["kind"], planned["fingerprint"])
        if artifact and sources.keys() >= set(artifact.info["inputs"].values()):
            stage = _stage(planned, artifact, sources)
            found[stage.name] = sources[stage.fingerprint] = stage
    return found


def _stage(planned: PlannedStage, artifact: Artifact, sources: Mapping[str, Stage]) -> Stage:
    return Stage(
        name=planned["name"],
        kind=planned["kind"],
        group=planned["group"],
        identity=artifact.info["identity"],
        version=artifact.info["version"],
        run=_gone,
        inputs={name: sources[key] for name, key in artifact.info["inputs"].items()},
        num_rows=planned["num_rows"],
    )


def _gone(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
    raise UserError(f"{writer.stage}: was deleted from the store while it was in use. Start again.")
