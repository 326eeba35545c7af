from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gist_ray.evaluation.config import EvaluationConfig

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(("name", "probe"), [("linear_probe", "logistic"), ("gist_sgd", "sgd")])
def test_each_config_composes_to_its_probe(name: str, probe: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        values = OmegaConf.to_container(compose(f"evaluation/{name}").evaluation)
    assert EvaluationConfig(**values) == EvaluationConfig(probe=probe)


@pytest.mark.parametrize(
    ("field", "value"),
    [("best_texts_m", 0), ("confidence", 1.0), ("num_bootstrap", 0), ("probe", "svm")],
)
def test_impossible_values_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        EvaluationConfig(**{field: value})
