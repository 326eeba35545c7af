from pathlib import Path
from typing import Any

import pytest

from gist_ray.errors import UserError
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values, group_choices
from gist_ray.study.config import RunConfig


def test_choices_of_the_project_and_of_ones_own_folder(tmp_path: Path) -> None:
    (tmp_path / "embed").mkdir()
    (tmp_path / "embed" / "tpu.yaml").write_text("{}\n")
    assert group_choices()["embed"] == {"cpu", "gpu"}
    assert group_choices(tmp_path)["embed"] == {"cpu", "gpu", "tpu"}
    with pytest.raises(UserError, match="there is no such folder"):
        group_choices(tmp_path / "none")


def methods_of(*words: str) -> dict[str, Any]:
    config: RunConfig = build(RunConfig, compose_values("config", list(words)))
    return config.methods


def test_methods_are_chosen_as_a_list_or_one_and_set_by_name() -> None:
    assert list(methods_of()) == [
        "linear_probe",
        "zero_shot_name",
        "zero_shot_texts",
        "zero_shot_best_texts",
    ]
    methods = methods_of("methods=[sgd_probe,nearest_class_mean]", "methods.sgd_probe.num_epochs=7")
    assert list(methods) == ["sgd_probe", "nearest_class_mean"]
    assert methods["sgd_probe"].num_epochs == 7
    assert list(methods_of("methods=nearest_class_mean")) == ["nearest_class_mean"]
