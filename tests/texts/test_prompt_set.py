import pytest

from gist_ray.errors import UserError
from gist_ray.settings.configs import CONFIGS
from gist_ray.texts.prompt_set import (
    Constraint,
    caption,
    load_prompt_set,
    prompt_set_problems,
    zero_shot_prompts,
)
from gist_ray.texts.prompting import build_prompts

SHIPPED = ("aircraft", "birds", "butterflies", "dermatology", "flowers", "generic")
WITH_TEXTS_OF_ITS_OWN = ("emoji",)


def write(tmp_path, content):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    return str(path)


def test_the_shipped_sets_are_all_tested():
    there = {path.stem for path in (CONFIGS / "prompts").glob("*.yaml")}
    assert there == {*SHIPPED, *WITH_TEXTS_OF_ITS_OWN}
    assert all(load_prompt_set(name).prompts for name in WITH_TEXTS_OF_ITS_OWN)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_set_asks_for_several_texts_of_a_class(name):
    prompt_set = load_prompt_set(name)
    facts = {"wings": "red", "pattern": "white spots", "border": "black"}
    prompts = build_prompts(prompt_set, [(0, "Old Aster")], {"Old Aster": {"": facts}})
    assert prompts.num_rows >= 12
    assert len(set(prompts["text_id"].to_pylist())) == prompts.num_rows
    if name != "butterflies":
        assert all("Old Aster" in prompt for prompt in prompts["prompt"].to_pylist())


def test_a_set_of_ones_own(tmp_path):
    path = write(tmp_path, "prompts:\n  - {id: a, template: 'What is {{ name }}?'}\n")
    prompt_set = load_prompt_set(path)
    assert prompt_set.prompts[0].id == "a"
    assert caption(prompt_set, "robin", "red breast.") == "robin: red breast."
    assert zero_shot_prompts(prompt_set, "robin") == ["a photo of a robin."]


def test_no_caption_prefix(tmp_path):
    path = write(tmp_path, "prompts: [{id: a, template: x}]\ncaption_prefix: ''\n")
    assert caption(load_prompt_set(path), "robin", "red breast.") == "red breast."


def test_an_unknown_name_lists_the_shipped_sets():
    with pytest.raises(UserError, match="no shipped prompt set 'brids'; there are aircraft, birds"):
        load_prompt_set("brids")


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such prompt set"):
        load_prompt_set(str(tmp_path / "none.yaml"))


def test_broken_yaml_is_named_with_its_line(tmp_path):
    with pytest.raises(UserError, match=r"not valid YAML(.|\n)*line 2"):
        load_prompt_set(write(tmp_path, "prompts:\n  - {id: a\n"))


def test_all_wrong_fields_are_reported_at_once(tmp_path):
    path = write(
        tmp_path,
        """
prompts:
  - {id: a, template: x, tmplate: y}
axes: {sex: [yes]}
sampling: {temperature: -1}
colour: red
""",
    )
    with pytest.raises(UserError) as caught:
        load_prompt_set(path)
    message = str(caught.value)
    for place in ("prompts.0.tmplate: there is no such field", "axes.sex.0", "colour"):
        assert place in message
    assert "sampling.temperature: Input should be greater than or equal to 0" in message
    assert all(problem.startswith(path) for problem in caught.value.problems)


def test_fields_that_do_not_fit_together(tmp_path):
    path = write(
        tmp_path,
        """
prompts:
  - {id: a, template: "{{ nmae }}"}
  - {id: a, template: "{{ sex }} {{ name"}
axes: {sex: [male], name: [x], age: []}
class_axes: {robin: {seks: [male]}}
constraint: {regex: "{{ phrases | join }}"}
zero_shot_templates: [a photo]
""",
    )
    with pytest.raises(UserError) as caught:
        load_prompt_set(path)
    message = str(caught.value)
    for found in (
        "the variable 'nmae'",
        "not a valid Jinja template",
        "the id 'a' is used 2 times",
        "the axis name 'name' has to be",
        "axes.age: has no values",
        "no axis 'seks'",
        "there are no phrases",
        "'a photo' has no {}",
    ):
        assert found in message


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"regex": "a", "json_schema": {"properties": {"text": {"type": "string"}}}},
        {"json_schema": {"properties": {"caption": {"type": "string"}}}},
    ],
)
def test_a_constraint_is_a_regex_or_a_schema_with_a_text(values):
    with pytest.raises(ValueError, match=r"either regex or json_schema|property \"text\""):
        Constraint(**values)


def test_a_good_set_has_no_problems():
    assert prompt_set_problems(load_prompt_set("butterflies")) == []
