from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gist_ray.matching.config import MatchingConfig

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    "path", sorted((CONFIGS / "matching").glob("*.yaml")), ids=lambda p: p.stem
)
def test_each_config_composes_to_its_variant(path: Path) -> None:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        values = OmegaConf.to_container(compose(f"matching/{path.stem}").matching)
    assert MatchingConfig(**values) == MatchingConfig(variant=path.stem)


@pytest.mark.parametrize(
    ("field", "value"),
    [("k", 0), ("diversity", 1.5), ("temperature", 0), ("variant", "best"), ("kk", 1)],
)
def test_impossible_values_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        MatchingConfig(**{field: value})


@pytest.mark.parametrize("variant", ["class_name", "random", "all"])
def test_what_looks_at_no_similarity_cannot_match_again(variant: str) -> None:
    assert MatchingConfig(variant=variant, rounds=1).rounds == 1
    with pytest.raises(ValueError, match=f"rounds=2 .* variant={variant} does not look"):
        MatchingConfig(variant=variant, rounds=2)
