"""The settings of a run that a fine-tuning's stage hands to the trainer."""

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from gist_ray.finetune import stage as finetune
from gist_ray.images.limits import ImageLimits
from gist_ray.schema import MANIFEST, SHOTS
from tests.study.test_graph import graph


@pytest.mark.parametrize(("num_workers", "where"), [(1, "warm worker"), (2, "Ray Train")])
def test_the_plan_says_where_a_training_runs(num_workers: int, where: str) -> None:
    stages = graph(f"finetune.num_workers={num_workers}").stages
    assert {stage.where for stage in stages if stage.kind == "finetuned"} == {where}


def test_a_training_reads_the_pictures_that_were_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(finetune, "train_clip", lambda *args, **options: told.update(options))
    monkeypatch.setattr(finetune, "read_manifest", lambda artifact: MANIFEST.empty_table())
    config = ("embed.max_image_mib=100", "embed.max_image_pixels=1000")
    stages = {stage.name: stage for stage in graph(*config).stages}
    tune = next(stages[name] for name in stages if name.startswith("finetune class_name"))
    inputs: dict[str, Any] = {
        "manifest": None,
        "shots": SimpleNamespace(read=SHOTS.empty_table),
        "images": SimpleNamespace(read_ids=lambda column: pa.array([], pa.string())),
    }
    writer: Any = SimpleNamespace(extra={}, add_part=lambda name, rows: None)
    tune.run(inputs, writer, None)  # type: ignore[arg-type]
    assert told["limits"] == ImageLimits(max_image_mib=100, max_image_pixels=1000)
