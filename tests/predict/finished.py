"""A finished run of a tiny world without a cluster: its vectors are drawn, and not of pictures."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.species import make_species
from gist_ray.encoders.clip import load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.methods.base.linear_classifier import scaled
from gist_ray.run.flow import run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.record import recorded
from gist_ray.run.stage import Stage
from gist_ray.schema import embeddings, usable_texts
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store.artifacts import Artifact, ArtifactStore, ArtifactWriter
from gist_ray.study.config import RunConfig
from gist_ray.study.job import study_job

WORLD = {
    "seed": 401,
    "num_genera": 2,
    "species_per_genus": 2,
    "train_per_species": 8,
    "val_per_species": 4,
    "test_per_species": 2,
}
COLOURS = ("white", "black")


def configured(root: Path, *words: str) -> RunConfig:
    """The run `source`: the model as it came, two draws."""
    root.mkdir(exist_ok=True)
    texts = root / "texts.json"
    names = [species.name for species in make_species(WorldConfig(**WORLD))]
    sentences = {name: [f"The {name} has {one} wings." for one in COLOURS] for name in names}
    texts.write_text(json.dumps(sentences))
    settings = [f"data.{name}={value}" for name, value in WORLD.items()]
    settings += ["study.trainings=[]", "study.shots=[2]", "study.seeds=[1,2]", "matching.k=1"]
    settings += [f"texts.import_from={texts}", "texts.shorten=null"]
    settings += ["evaluation.num_bootstrap=20", f"root={root}", "name=source", *words]
    config: RunConfig = build(RunConfig, compose_values("config", settings))
    return config


def finish_run(config: RunConfig) -> str:
    """Makes all stages; returns the run's folder."""
    job = study_job(config)
    stages = [_without_pictures(stage) for stage in job.stages]
    progress = Progress()
    with recorded(job, progress) as heartbeat:
        store = ArtifactStore(config.root)
        run_flow(stages, store, progress, num_cpus=4, max_failed_fraction=0, leases=heartbeat)
    return f"{config.root}/runs/{config.name}"


def _without_pictures(stage: Stage) -> Stage:
    """The same artifact to all who ask by its fingerprint."""
    made = {"pictures": _nothing, "image_embeddings": _images, "text_embeddings": _texts}
    return replace(stage, run=made.get(stage.kind, stage.run))


def _nothing(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
    pass


def _images(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
    """A direction for each class, and noise."""
    rows = inputs["manifest"].read(["image_id", "label"])
    directions = np.random.default_rng(0).normal(size=(4, _dim()))
    _write(directions[rows.column("label").to_numpy()], rows.column("image_id"), writer)


def _texts(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
    """Noise alone: no text has to do with the images."""
    ids = usable_texts(inputs["texts"].read()).column("text_id")
    _write(np.zeros((len(ids), _dim())), ids, writer)


def _dim() -> int:
    return int(load_clip(ClipConfig()).model.visual.output_dim)


def _write(directions: np.ndarray, ids: pa.ChunkedArray, writer: ArtifactWriter) -> None:
    noise = np.random.default_rng(1).normal(size=directions.shape)
    vectors = scaled(directions + 2 * noise, 1.0).astype(np.float32)
    writer.extra["logit_scale"] = load_clip(ClipConfig()).logit_scale
    of_set = "image_id" if writer.kind == "image_embeddings" else "text_id"
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    writer.write(pa.table([ids, flat], schema=embeddings(of_set, vectors.shape[1])))
