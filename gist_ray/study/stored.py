"""The config, the graph and the artifacts of a finished run of the study, read from its record."""

from dataclasses import replace

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.manifest import read_manifest
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.errors import UserError
from gist_ray.run.recorded_stages import recorded_stages
from gist_ray.run.runs import RUNS, read_config
from gist_ray.run.stage import Stage
from gist_ray.schema import CLASS_TEXTS
from gist_ray.settings.check import build
from gist_ray.store import storage
from gist_ray.store.artifacts import Artifact, ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data, name_of, read_data
from gist_ray.study.features import FROZEN
from gist_ray.study.graph import StudyGraph, build_graph


def read_run(root: str, name: str) -> RunConfig:
    """Returns the config that a run was last started with. Its root is where it was found: a folder
    may have moved. Raises UserError if there is no such run."""
    config: RunConfig = build(RunConfig, {**read_config(root, name), "root": root, "name": name})
    return config


def stored_graph(run: RunConfig, store: ArtifactStore) -> StudyGraph:
    """Returns the graph of a run that `read_run` gives, laid out from its stored manifest and
    texts: neither its data set nor its files of texts and notes have to be there.

    Raises UserError if they are not stored.
    """
    recorded = recorded_stages(store, run.name)
    embedded = recorded.get(f"embed {CLASS_TEXTS} texts {FROZEN}")
    if "manifest" not in recorded or embedded is None:
        raise UserError(
            f"run={store.root}/{RUNS}/{run.name}: its manifest or its texts are not stored. Run it "
            "to its end first."
        )
    texts = embedded.inputs["texts"]

    def read(config: DataConfig | WorldConfig, notes: str, store: ArtifactStore) -> Data:
        if isinstance(config, WorldConfig):
            return replace(read_data(config, notes, store), texts=texts)
        manifest = read_manifest(stored(store, recorded["manifest"]))
        return Data(name_of(config), manifest, None, recorded["manifest"], texts=texts)

    return build_graph(run, store, read=read)


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
            "data or its model has changed since, or the model is not there."
        )
    return found
