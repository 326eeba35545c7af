"""The images of one draw: so many per class, by one seed."""

from dataclasses import dataclass

from gist_ray.datasets.fewshot import sample_coop, sample_full, sample_nested
from gist_ray.datasets.manifest import read_manifest
from gist_ray.run.flow import Stage
from gist_ray.study.config import RunConfig
from gist_ray.study.data import Data


@dataclass(frozen=True)
class Sample:
    """The labelled images that one draw may learn from. num_shots: None is all of them."""

    num_shots: int | None
    seed: int

    stage: Stage
    """Leaves a SHOTS table."""

    @property
    def name(self) -> str:
        """How keys name the draw: "5-shot seed 1"."""
        num = f"{self.num_shots}-shot" if self.num_shots else "all images"
        return f"{num} seed {self.seed}"


def sample_of(config: RunConfig, num_shots: int | None, seed: int, data: Data) -> Sample:
    """The sample of one number of shots and seed; all images are the same for every seed."""
    if num_shots is None:
        stage = Stage(
            "sample all images",
            "shots",
            {"rule": "full"},
            lambda inputs, writer, progress: writer.write(
                sample_full(read_manifest(inputs["manifest"]))
            ),
            {"manifest": data.stage},
        )
        return Sample(num_shots, seed, stage)
    draw = sample_coop if config.study.few_shot == "coop" else sample_nested
    stage = Stage(
        f"sample {num_shots}-shot seed {seed}",
        "shots",
        {"rule": config.study.few_shot, "shots": num_shots, "seed": seed},
        lambda inputs, writer, progress: writer.write(
            draw(read_manifest(inputs["manifest"]), num_shots, seed)
        ),
        {"manifest": data.stage},
    )
    return Sample(num_shots, seed, stage)
