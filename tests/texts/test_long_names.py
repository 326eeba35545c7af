import pytest

from gist_ray.encoders.config import ClipConfig
from gist_ray.texts.long_names import long_names
from gist_ray.texts.prompt_set import Prompt, PromptSet

CLIP = ClipConfig(model="ViT-B-32")  # reads 75 tokens
LONG = "a part with a very long description " * 12


def prompts(**values: object) -> PromptSet:
    found = {"zero_shot_templates": ["a photo of a {}."], "caption_prefix": "{{ name }}:"} | values
    return PromptSet(prompts=[Prompt(id="p", template="{name}")], **found)


def classes(*names: str) -> list[tuple[int, str]]:
    return list(enumerate(names))


def test_names_that_fit_are_fine() -> None:
    found = long_names(CLIP, prompts(), classes("Black-footed Albatross", "Laysan Albatross"))
    assert (found.problems, found.warnings) == ([], [])


def test_names_that_are_equal_behind_the_cut_are_refused() -> None:
    found = long_names(CLIP, prompts(), classes(LONG + "red", LONG + "blue", "short"))
    (problem,) = found.problems
    assert "reads the first words alone of the class names" in problem
    assert "Give shorter names in data.class_names" in problem


def test_names_that_are_cut_or_leave_no_space_are_said() -> None:
    found = long_names(CLIP, prompts(), classes(LONG, "short"))
    assert found.problems == []
    is_cut, is_full = found.warnings
    assert is_cut.startswith("class names that the text tower cuts: 'a part with")
    assert "leave no space for a text" in is_full


@pytest.mark.parametrize("model", ["hf-hub:org/model", "ViT-B-16-SigLIP"])
def test_nothing_is_downloaded_for_it(model: str) -> None:
    found = long_names(ClipConfig(model=model), prompts(), classes(LONG + "a", LONG + "b"))
    assert (found.problems, found.warnings) == ([], [])
