"""Prompt sets, which decide the texts that a language model is asked for: YAML in configs/prompts/.

As in GIST (https://arxiv.org/abs/2307.11315), domain axes such as sex or body part multiply a few
prompts, so that the texts of one class differ where its pictures do. The wording of the shipped
sets is ours.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from gist_ray.errors import UserError
from gist_ray.llm.config import Sampling
from gist_ray.settings.configs import CONFIGS
from gist_ray.settings.declare import Runtime, settings
from gist_ray.store import storage
from gist_ray.texts.templates import render, template_problems

RESERVED = {"name", "notes", "phrases", "value", "article"}


@settings
class Prompt:
    """One way to ask for a text."""

    id: str
    """Short name, unique in the set; stored with every text."""

    template: str
    """Jinja: `name` (the class), every axis by its name, `notes` ({fact: value}, the facts drawn
    for this text), and `article(noun)`."""


@settings
class Example:
    """One example of a request and a good answer, shown before the real request."""

    user: str
    """The request, worded like the prompts."""

    assistant: str | list[str]
    """The answer, or several of which every text draws one (seeded)."""


@settings
class Constraint:
    """The form of an answer, enforced while decoding (vLLM structured outputs)."""

    regex: str | None = None
    """Jinja template of a regular expression; also has `phrases`, the list of the drawn facts'
    wordings. Values are escaped."""

    json_schema: dict[str, Any] | None = None
    """A JSON schema of an object with a string property `text`, which becomes the text."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Constraint":
        if (self.regex is None) == (self.json_schema is None):
            raise ValueError("give either regex or json_schema, not both and not neither")
        if self.json_schema is not None:
            text = self.json_schema.get("properties", {}).get("text", {})
            if text.get("type") != "string":
                raise ValueError('json_schema needs a property "text" of type "string"')
        return self


@settings
class PromptSet:
    """The prompts, their variables and the use of the answers."""

    prompts: Annotated[list[Prompt], Field(min_length=1)]
    """The ways to ask; each is asked for every class and every combination of axis values."""

    system: str = ""
    """Instruction before everything else."""

    examples: list[Example] = Field(default_factory=list)
    """Few-shot examples."""

    chat: bool = True
    """True: the model's own chat template. False: a plain text that the model continues."""

    axes: dict[str, list[str]] = Field(default_factory=dict)
    """Domain axes, {axis: values}; their combinations multiply the prompts."""

    class_axes: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    """{class name: {axis: values}} where a class has other values than the rest."""

    samples_per_prompt: Annotated[int, Field(ge=1)] = 1
    """How many answers are drawn for each prompt and combination of axis values."""

    notes: Annotated[Literal["optional", "required"], Runtime] = "optional"
    """Whether every class must have notes."""

    facts_per_text: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)
    """Numbers of facts of which one is drawn per text (seeded); the text is made of that many of
    the notes' facts. Empty: of all facts."""

    facts_together: list[list[str]] = Field(default_factory=list)
    """Facts that are drawn together and count as one, such as [[forewings, hindwings]]."""

    phrases: dict[str, str] = Field(default_factory=dict)
    """{fact: Jinja template of a regular expression with `value`}: how a fact may be worded under
    a regex constraint."""

    constraint: Constraint | None = None
    """The form that answers must have; null lets the model write freely."""

    sampling: Sampling = Field(default_factory=Sampling)
    """How answers are drawn."""

    vocabulary: list[str] = Field(default_factory=list)
    """Words that exclude each other, such as colours: a text with one that its class's notes do
    not have contradicts them."""

    caption_prefix: str = "{{ name }}: "
    """Jinja: the prefix of a text in a training caption; "" for none."""

    zero_shot_templates: Annotated[list[str], Field(min_length=1)] = Field(
        default_factory=lambda: ["a photo of a {}."]
    )
    """Prompts of zero-shot classification by class name, with {} for the name."""


def load_prompt_set(path: str, folder: str | Path = CONFIGS / "prompts") -> PromptSet:
    """Reads a prompt set from a YAML file (local, s3://, memory://).

    A bare name such as "birds" is the shipped set of that name in `folder`.
    Raises UserError with all its problems.
    """
    if "/" not in path and not path.endswith((".yaml", ".yml")):
        shipped = sorted(file.stem for file in Path(folder).glob("*.yaml"))
        if path not in shipped:
            raise UserError(
                f"There is no shipped prompt set {path!r}; there are {', '.join(shipped)}. "
                "For a set of your own give the path of its YAML file, such as ./my_prompts.yaml."
            )
        path = str(Path(folder) / f"{path}.yaml")
    try:
        values = yaml.safe_load(storage.read_text(path))
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such prompt set.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is not valid YAML ({error}).") from error
    try:
        prompt_set: PromptSet = TypeAdapter(PromptSet).validate_python(values)
    except ValidationError as error:
        raise UserError([f"{path}: {problem}" for problem in _worded(error)]) from error
    problems = prompt_set_problems(prompt_set)
    if problems:
        raise UserError([f"{path}: {problem}" for problem in problems])
    return prompt_set


def prompt_set_problems(prompt_set: PromptSet) -> list[str]:
    """Returns the problems of a prompt set whose fields are valid but contradict each other."""
    axes = set(prompt_set.axes)
    variables = {"name", "notes"} | axes
    problems = [
        f"axes: the axis name {axis!r} has to be a word other than {', '.join(sorted(RESERVED))}."
        for axis in prompt_set.axes
        if not axis.isidentifier() or axis in RESERVED
    ]
    problems += [f"axes.{axis}: has no values." for axis in axes if not prompt_set.axes[axis]]
    for class_name, own_axes in prompt_set.class_axes.items():
        for axis, values in own_axes.items():
            if axis not in axes:
                problems.append(f"class_axes.{class_name}: there is no axis {axis!r} in axes.")
            elif not values:
                problems.append(f"class_axes.{class_name}.{axis}: has no values.")
    ids = [prompt.id for prompt in prompt_set.prompts]
    problems += [
        f"prompts: the id {prompt_id!r} is used {ids.count(prompt_id)} times."
        for prompt_id in sorted(set(ids))
        if ids.count(prompt_id) > 1
    ]

    templates = [(f"prompts.{p.id}", p.template, variables) for p in prompt_set.prompts]
    templates += [(f"phrases.{f}", t, {"value"}) for f, t in prompt_set.phrases.items()]
    templates.append(("caption_prefix", prompt_set.caption_prefix, {"name"}))
    regex = prompt_set.constraint.regex if prompt_set.constraint else None
    if regex is not None:
        templates.append(("constraint.regex", regex, variables | {"phrases"}))
        if "phrases" in regex and not prompt_set.phrases:
            problems.append("constraint.regex: uses phrases, but there are no phrases.")
    for place, template, allowed in templates:
        problems += [f"{place}: {found}." for found in template_problems(template, allowed)]
    problems += [
        f"zero_shot_templates: {template!r} has no {{}} for the class name."
        for template in prompt_set.zero_shot_templates
        if "{}" not in template
    ]
    return problems


def caption(prompt_set: PromptSet, class_name: str, text: str) -> str:
    """Returns the training caption of a text: the set's prefix and the text."""
    prefix = render(prompt_set.caption_prefix, {"name": class_name})
    return f"{prefix} {text}" if prefix else text


def zero_shot_prompts(prompt_set: PromptSet, class_name: str) -> list[str]:
    """Returns the class name in each of the set's zero-shot templates."""
    return [template.replace("{}", class_name) for template in prompt_set.zero_shot_templates]


def _worded(error: ValidationError) -> list[str]:
    """Returns one sentence for each problem that pydantic found."""
    worded = []
    for found in error.errors():
        place = ".".join(str(part) for part in found["loc"]) or "the file"
        if found["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            worded.append(f"{place}: there is no such field. Remove it or mend its name.")
        else:
            message = re.sub(r"^Value error, ", "", found["msg"])
            worded.append(f"{place}: {message} (found {str(found['input'])[:80]!r}).")
    return worded
