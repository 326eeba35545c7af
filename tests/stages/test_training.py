"""What a fine-tuning is told by the run's config."""

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from gist_ray.encoders.config import ImageLimits
from gist_ray.schema import SHOTS
from gist_ray.study import training
from tests.study.test_graph import graph


def test_a_training_reads_the_pictures_that_were_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(training, "train_clip", lambda *args, **options: told.update(options))
    config = ("embed.max_image_mib=100", "embed.max_image_pixels=1000")
    stages = {stage.key: stage for stage in graph(*config).stages}
    tune = next(stages[key] for key in stages if key.startswith("finetune class_name"))
    inputs: dict[str, Any] = {
        "shots": SimpleNamespace(read=SHOTS.empty_table),
        "images": SimpleNamespace(read=lambda columns: pa.table({"image_id": pa.array([], "str")})),
    }
    writer: Any = SimpleNamespace(extra={}, add_part=lambda name, rows: None)
    tune.run(inputs, writer, None)  # type: ignore[arg-type]
    assert told["limits"] == ImageLimits(max_image_mib=100, max_image_pixels=1000)
