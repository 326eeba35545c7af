"""The measure of one model on one draw by val alone: what choices are made by."""

from collections.abc import Mapping
from dataclasses import asdict

from gist_ray.datasets.manifest import read_manifest
from gist_ray.evaluation.evaluate import validate
from gist_ray.finetune.captions import sampled_images
from gist_ray.matching.vectors import stored_vectors
from gist_ray.run.flow import Stage
from gist_ray.run.progress import Progress
from gist_ray.settings.declare import identity_of
from gist_ray.store.artifacts import Artifact, ArtifactWriter
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data
from gist_ray.study.embedding import Embedded
from gist_ray.study.evaluation import labelled, setting_of
from gist_ray.study.sample import Sample


def validation_stage(
    config: RunConfig,
    training: str,
    sample: Sample,
    data: Data,
    texts: Stage,
    model: Embedded,
) -> Stage:
    """METRICS of the linear probe on val. It reads no test image and no text."""
    setting = setting_of(config, training, sample)

    def run(inputs: Mapping[str, Artifact], writer: ArtifactWriter, progress: Progress) -> None:
        manifest, shots = read_manifest(inputs["manifest"]), inputs["shots"].read()
        images = stored_vectors(inputs["image_embeddings"], "image_id")
        train, val = (
            labelled(sampled_images(manifest, shots, split), images) for split in ("train", "val")
        )
        writer.write(validate(train, val, len(data.classes), setting, config.evaluation))

    return Stage(
        f"validate {training} {sample.name}",
        "validation",
        {**identity_of(config.evaluation), **asdict(setting)},
        run,
        {"manifest": data.stage, "shots": sample.stage, "image_embeddings": model.images},
    )
