from pathlib import Path
from typing import Any

import pytest

from gist_ray.errors import UserError
from gist_ray.methods import METHODS
from gist_ray.methods.linear_probe import LinearProbeConfig
from gist_ray.methods.sgd_probe import SgdProbeConfig
from gist_ray.settings.check import build
from gist_ray.study.config import RunConfig
from gist_ray.sweep.config import SweepRun

SOUND: dict[str, Any] = {
    "prompts": {"prompts": [{"id": "p", "template": "Describe {{ name }}."}]},
    "finetune": {"num_steps": 2},
}


def problems(values: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as raised:
        build(RunConfig, {**SOUND, **values})
    return raised.value.problems


def test_defaults_make_a_run() -> None:
    config = build(RunConfig, SOUND)
    assert config.data.layout == "butterflies"
    assert config.study.trainings == ["class_name", "random", "gist"]


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    found = problems(
        {
            "nmae": "x",
            "matching": {"k": 0, "temprature": 1},
            "embed": {"batch_size": "many"},
            "study": {"shots": [0], "seeds": [1, 1]},
            "data": {"layout": "cub", "path": f"{tmp_path}/none", "num_genera": 3},
            "texts": {"import_from": f"{tmp_path}/texts.json", "notes": str(tmp_path)},
            "finetune": {"num_steps": 2, "num_epochs": 2},
        }
    )
    assert sorted(found) == sorted(
        [
            "nmae: there is no such setting. Did you mean name?",
            "matching.k=0: Input should be greater than or equal to 1.",
            "matching.temprature: there is no such setting. Did you mean temperature?",
            "embed.batch_size='many': Input should be a valid integer, unable to parse string as "
            "an integer.",
            "study.shots.0=0: Input should be greater than or equal to 1, or: Input should be "
            "'full'.",
            "study.seeds=[1, 1]: 1 stands there more than once.",
            "data.num_genera: there is no such setting. It belongs to another choice of data.",
            f"data.path={tmp_path}/none: there is no such file or folder.",
            f"texts.import_from={tmp_path}/texts.json: there is no such file or folder.",
            f"texts.notes={tmp_path}: is a folder and has to be a file.",
            "finetune: set exactly one of num_steps and num_epochs; the other is null.",
        ]
    )


def test_pairs_need_a_file() -> None:
    assert problems({"texts": {"use_pairs": True}}) == [
        "texts: use_pairs=true trains on imported pairs, and import_from is empty; give a JSON "
        "file {image: [captions]}, or set use_pairs to false."
    ]


def test_pairs_are_not_matched_anew(tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    file.write_text("{}")
    texts = {"import_from": str(file), "use_pairs": True}
    assert build(RunConfig, {**SOUND, "texts": texts, "matching": {"k": 5}}).texts.use_pairs
    assert problems({"texts": texts, "matching": {"variant": "mmr", "rounds": 2}}) == [
        f"config: texts.use_pairs=true takes the matches from {file}, and matching.variant=mmr, "
        "matching.rounds=2 would match anew; leave that out, or set texts.use_pairs to false."
    ]


def test_a_group_that_is_not_chosen_is_named() -> None:
    with pytest.raises(UserError, match=r"finetune: is not set\. Choose its group, such as fine"):
        build(RunConfig, {"prompts": SOUND["prompts"]})


def test_a_name_is_no_path() -> None:
    assert problems({"name": "../x"})[0].startswith("name='../x': String should match pattern")


def test_an_unknown_layout_lists_the_known_ones() -> None:
    assert "'image_folder'" in problems({"data": {"layout": "images", "path": "x"}})[0]


def test_credentials_in_a_value_are_told_alone_and_not_shown() -> None:
    found = problems(
        {
            "nmae": "x",
            "root": "s3://AKIA123:geheim@bucket/root",
            "data": {"layout": "manifest", "path": "https://h/a.csv?X-Amz-Signature=geheim"},
            "study": {"shots": 0},
        }
    )
    assert [problem.split(":")[0] for problem in found] == ["root", "data.path"]
    assert all("holds credentials" in problem and "AWS_PROFILE" in problem for problem in found)
    assert "geheim" not in str(found)
    assert "AKIA" not in str(found)


def test_methods_have_settings_of_their_own_and_all_problems_are_said() -> None:
    config = build(RunConfig, {**SOUND, "methods": {"sgd_probe": {"num_epochs": 3}}})
    assert config.methods == {"sgd_probe": SgdProbeConfig(num_epochs=3)}
    assert build(RunConfig, SOUND).methods == {"linear_probe": LinearProbeConfig()}
    # a file that holds comments alone
    assert build(RunConfig, {**SOUND, "methods": {"sgd_probe": None}}).methods == {
        "sgd_probe": SgdProbeConfig()
    }
    found = problems(
        {
            "methods": {
                "linear_probe": {"max_itre": 5, "max_iter": 0},
                "sgd_prob": {},
                "svm": {},
                "zero_shot_best_texts": {"m": "many"},
                "zero_shot_name": {"m": 3},
            }
        }
    )
    known = ", ".join(sorted(METHODS))
    assert sorted(found) == sorted(
        [
            "methods.linear_probe.max_itre: there is no such setting. Did you mean max_iter?",
            "methods.linear_probe.max_iter=0: Input should be greater than or equal to 1.",
            "methods.sgd_prob: there is no such setting. Did you mean sgd_probe?",
            f"methods.svm: there is no such setting. There are: {known}.",
            "methods.zero_shot_best_texts.m='many': Input should be a valid integer, unable to "
            "parse string as an integer.",
            "methods.zero_shot_name.m: there is no such setting. zero_shot_name has no settings.",
        ]
    )


def test_a_run_has_a_method() -> None:
    assert problems({"methods": {}})[0].startswith("methods: Dictionary should have at least 1")


def test_settings_that_a_config_inherits_are_known_too() -> None:
    values = {**SOUND, "matching": {"temprature": 1}, "sweep": {"space": {"matching.k": [1]}}}
    with pytest.raises(UserError, match=r"matching\.temprature: .* Did you mean temperature\?"):
        build(SweepRun, values)
