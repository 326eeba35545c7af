from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gist_ray.evaluation.config import EvaluationConfig

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_config_composes_to_the_defaults() -> None:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        values = OmegaConf.to_container(compose("evaluation/intervals").evaluation)
    assert EvaluationConfig(**values) == EvaluationConfig()
    assert values.keys() == EvaluationConfig.__pydantic_fields__.keys()


@pytest.mark.parametrize(("field", "value"), [("confidence", 1.0), ("num_bootstrap", 0)])
def test_impossible_values_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        EvaluationConfig(**{field: value})
