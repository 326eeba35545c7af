"""A run on a packed data set is the run on its files."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.study.config import RunConfig

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.usefixtures("ray_local"),
]


def test_a_packed_set_ends_in_the_same_metrics(
    world: WorldConfig, texts_file: str, tiny: list[str], tmp_path: Path
) -> None:
    from gist_ray.datasets.packing.job import pack_job
    from gist_ray.run.run_job import run_job
    from gist_ray.study.job import study_job

    write_collection(world, str(tmp_path / "world"))
    files = f"{tmp_path}/world/images"
    packing = PackConfig(
        out=f"{tmp_path}/packed",
        data=DataConfig(layout="image_folder", path=files),
        images_per_shard=10,
    )
    run_job(pack_job(packing))
    metrics = {}
    for data, path in {"image_folder": files, "packed": f"{tmp_path}/packed"}.items():
        words = [f"data={data}", f"data.path={path}", f"texts.import_from={texts_file}", *tiny]
        words += [f"root={tmp_path}/root", f"name={data}"]
        config: RunConfig = build(RunConfig, compose_values("config", words))
        run_job(study_job(config))
        found = pq.read_table(tmp_path / "root" / "runs" / data / "metrics.parquet")
        metrics[data] = found.drop_columns(["data"])  # the name of the data set
    assert metrics["packed"].num_rows > 0
    assert metrics["packed"].equals(metrics["image_folder"])
    # made anew from the shards: nothing was taken over from the run on the files
    assert len(list((tmp_path / "root" / "artifacts" / "finetuned").iterdir())) == 2
