import shlex
from pathlib import Path
from typing import Any

import pytest

from gist_ray.datasets.packing.config import PackConfig
from gist_ray.errors import UserError
from gist_ray.predict.config import PredictConfig
from gist_ray.pretraining.config import PretrainConfig
from gist_ray.settings.check import _leaves, build
from gist_ray.settings.commandline import PLACES, compose_values, group_choices
from gist_ray.settings.declare import InputFile, InputPath
from gist_ray.study.config import RunConfig
from gist_ray.sweep.config import SweepRun


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


ODD_PATHS = [
    "/data/a(b),c=d~e",
    "/data/{x} [y] #1 100% $5",
    "s3://bucket/a(b)/c=d,e/f~g [h]",
    "photos (1)/été/鳥",
    '/data/it\'s "so"\\',
    "a:b,c",
    "[1,2]",
    "2024",
    "-1e5",
    " lead and trail ",
]


@pytest.mark.parametrize("path", ODD_PATHS)
@pytest.mark.parametrize("key", ["data.path", "root", "texts.notes", "++data.path"])
def test_a_path_is_taken_as_it_is_written(key: str, path: str) -> None:
    values: Any = compose_values("config", ["data=image_folder", "data.path=x", f"{key}={path}"])
    for name in key.lstrip("+").split("."):
        values = values[name]
    assert values == path


@pytest.mark.parametrize("path", ODD_PATHS)
def test_paths_of_predictions_and_exports_too(path: str) -> None:
    words = [f"images={path}", f"classifier={path}", f"out={path}"]
    values = compose_values("predict", words)
    assert [values[name] for name in ("images", "classifier", "out")] == [path] * 3
    assert compose_values("export", [f"run={path}", "out=x"])["run"] == path


def test_a_path_may_be_quoted_or_refer_to_another_setting() -> None:
    words = ["name=x", "root='a, b'", 'texts.notes="c=d"', "texts.import_from=${name}/x"]
    values = compose_values("config", words)
    assert values["root"] == "a, b"
    assert (values["texts"]["notes"], values["texts"]["import_from"]) == ("c=d", "x/x")


def test_words_that_cannot_be_read_are_all_named_with_their_quoting() -> None:
    with pytest.raises(UserError) as raised:
        compose_values("config", ["llm.model=/models/a(b", "prompts.caption_prefix=it's a, b"])
    first, second = raised.value.problems
    assert "quotes of its own: 'llm.model='\"'\"'/models/a(b'\"'\"''" in first
    assert second.startswith("The command line cannot be read: prompts.caption_prefix=it's a, b: ")
    given = shlex.split(first.rpartition(": ")[2])
    assert compose_values("config", given)["llm"]["model"] == "/models/a(b"


def marked(config_type: Any) -> set[str]:
    """The names of all settings below a class that are marked as an input."""
    names = set()
    for name, field in getattr(config_type, "__pydantic_fields__", {}).items():
        if {InputFile, InputPath} & {mark for mark in field.metadata if isinstance(mark, type)}:
            names.add(name)
        for inner in _leaves(field.annotation):
            names |= marked(inner)
    return names


def test_every_setting_that_is_marked_as_a_path_is_taken_literally() -> None:
    found = set.union(*map(marked, (SweepRun, PackConfig, PretrainConfig, PredictConfig)))
    assert {"path", "import_from"} <= found <= {name.rpartition(".")[2] for name in PLACES}


def test_a_list_that_shares_the_name_of_a_path_stays_a_list() -> None:
    values = compose_values(
        "audit",
        [
            "audit.exclude=[blank]",
            "data=cub",
            "data.path=x(1)",
            "data.exclude=a(b).csv",
            "prompts=birds",
        ],
    )
    assert values["audit"]["exclude"] == ["blank"]
    assert values["data"]["exclude"] == "a(b).csv"
