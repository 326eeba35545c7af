from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from gist_ray.datasets.config import DataConfig

# All but those that are data sets already: a layout needs a path.
CONFIGS = sorted(
    path
    for path in (Path(__file__).parents[2] / "configs" / "data").glob("*.yaml")
    if path.stem not in ("butterflies", "emoji")
)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_config_is_valid_once_it_has_a_path(path):
    values = yaml.safe_load(path.read_text())
    with pytest.raises(ValidationError, match="path is empty"):
        TypeAdapter(DataConfig).validate_python(values)
    config = TypeAdapter(DataConfig).validate_python(values | {"path": "s3://bucket/data"})
    assert config.layout == path.stem


def test_fractions_have_to_leave_training_images():
    with pytest.raises(ValidationError, match=r"0\.5 and test_fraction 0\.5 leave no training"):
        DataConfig(layout="image_folder", path="x", val_fraction=0.5, test_fraction=0.5)


def test_unknown_setting_is_refused():
    with pytest.raises(ValidationError, match="val_fractoin"):
        DataConfig(layout="image_folder", path="x", val_fractoin=0.5)
