"""The draws of a study: a number of training images per class, chosen by a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from gist_ray.datasets.fewshot import same_samples, sample_coop, sample_full, sample_nested
from gist_ray.datasets.manifest import read_manifest
from gist_ray.run.stage import Stage
from gist_ray.study.config import StudyConfig


@dataclass(frozen=True)
class Draw:
    """The labelled images of one number of shots and seed. num_shots: None for all images."""

    num_shots: int | None
    seed: int
    stage: Stage
    """The stage that makes the SHOTS table."""

    @property
    def name(self) -> str:
        """Returns a name such as "5-shot seed 1"."""
        num = f"{self.num_shots}-shot" if self.num_shots else "all images"
        return f"{num} seed {self.seed}"


def distinct_shots(study: StudyConfig, manifest: pa.Table) -> list[int | None]:
    """Returns the study's numbers of shots, None for all images, without those that give the
    sample of a smaller one."""
    same = same_samples(manifest, [shots for shots in study.shots if shots != "full"])
    return [None if s == "full" else s for s in study.shots if s not in same]


def draws_of(study: StudyConfig, num_shots: Sequence[int | None], manifest: Stage) -> list[Draw]:
    """Returns the draws of every number of shots (`distinct_shots`) with every seed."""
    return [
        draw_of(study, shots, seed, manifest=manifest)
        for shots in num_shots
        for seed in study.seeds
    ]


def draw_of(study: StudyConfig, num_shots: int | None, seed: int, *, manifest: Stage) -> Draw:
    """Returns the draw of one number of shots and seed; all images are the same for every seed."""
    if num_shots is None:
        stage = Stage(
            name="sample all images",
            kind="shots",
            group="sample",
            identity={"rule": "full"},
            run=lambda inputs, writer, progress: writer.write(
                sample_full(read_manifest(inputs["manifest"]))
            ),
            inputs={"manifest": manifest},
        )
        return Draw(num_shots, seed, stage)
    sample = sample_coop if study.few_shot == "coop" else sample_nested
    stage = Stage(
        name=f"sample {num_shots}-shot seed {seed}",
        kind="shots",
        group="sample",
        identity={"rule": study.few_shot, "shots": num_shots, "seed": seed},
        run=lambda inputs, writer, progress: writer.write(
            sample(read_manifest(inputs["manifest"]), num_shots, seed)
        ),
        inputs={"manifest": manifest},
    )
    return Draw(num_shots, seed, stage)
