"""Builds the PROMPTS table, one row per text to write, from a prompt set, class names and notes."""

import itertools
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import pyarrow as pa

from gist_ray.errors import UserError
from gist_ray.llm.tables import PROMPTS
from gist_ray.schema import stable_id, table
from gist_ray.texts.names import normal_form
from gist_ray.texts.prompt_set import PromptSet
from gist_ray.texts.templates import escape_regex, render

Facts = Mapping[str, str]
Notes = Mapping[str, Mapping[str, Facts]]
"""{class name: {axis: {fact: value}}}; facts under the axis "" hold for every axis."""


def build_prompts(
    prompt_set: PromptSet,
    classes: Sequence[tuple[int, str]],
    notes: Notes | None = None,
    *,
    seed: int = 0,
) -> pa.Table:
    """Returns the PROMPTS table of `classes` (label, class name), in their order.

    The facts and the wording of an example that a text gets depend only on `seed` and the text's
    id, so adding a class changes no other class's prompts.

    Raises UserError that lists every class without notes (if the set requires them), notes of
    unknown classes, and facts without a phrase that a constraint needs.
    """
    notes = notes or {}
    problems = _class_problems(classes, notes)
    rows: list[dict[str, Any]] = []
    without_notes: dict[str, list[str]] = {}
    without_phrase: set[str] = set()
    for label, class_name in classes:
        for values in _axis_values(prompt_set, class_name):
            axis = ", ".join(values.values())
            facts = facts_of(notes, class_name, axis)
            if not facts and prompt_set.notes == "required":
                without_notes.setdefault(class_name, []).append(axis)
                continue
            if prompt_set.constraint and prompt_set.constraint.regex and prompt_set.phrases:
                without_phrase |= facts.keys() - prompt_set.phrases.keys()
            for prompt, sample in itertools.product(
                prompt_set.prompts, range(prompt_set.samples_per_prompt)
            ):
                rows.append(
                    {
                        "text_id": stable_id(class_name, prompt.id, axis, sample),
                        "label": label,
                        "class_name": class_name,
                        "axis": axis,
                        "prompt_id": prompt.id,
                        "sample": sample,
                        "template": prompt.template,
                        "values": values,
                        "facts": facts,
                    }
                )
    problems += [
        f"Class {class_name!r} has no notes for {', '.join(repr(axis) for axis in axes)}, which "
        "this prompt set requires. Add them, or choose a prompt set that does without notes."
        for class_name, axes in without_notes.items()
    ]
    problems += [
        f"The notes have a fact {fact!r} that the prompt set has no phrase for. "
        f"Add {fact} to its `phrases`, or take the fact out of the notes."
        for fact in sorted(without_phrase)
    ]
    if problems:
        raise UserError(problems)
    return table([_filled_in(prompt_set, row, seed) for row in rows], PROMPTS)


def facts_of(notes: Notes, class_name: str, axis: str) -> dict[str, str]:
    """Returns the facts of a class for an axis, including those for every axis; {} for none."""
    class_notes = notes.get(class_name, {})
    return {**class_notes.get("", {}), **class_notes.get(axis, {})}


def _class_problems(classes: Sequence[tuple[int, str]], notes: Notes) -> list[str]:
    names = [class_name for _, class_name in classes]
    problems = [
        f"Class name {name!r} stands for {names.count(name)} labels. Class names must be unique."
        for name in sorted(set(names))
        if names.count(name) > 1
    ]
    problems += [
        f"The notes describe a class {name!r} that the data set does not have."
        for name in sorted(notes.keys() - set(names))
    ]
    return problems


def _axis_values(prompt_set: PromptSet, class_name: str) -> list[dict[str, str]]:
    """Returns every combination of the class's axis values; one empty combination without axes."""
    own = {normal_form(name): restricted for name, restricted in prompt_set.class_axes.items()}.get(
        normal_form(class_name), {}
    )
    axes = {axis: own.get(axis, values) for axis, values in prompt_set.axes.items()}
    return [
        dict(zip(axes, combination, strict=True))
        for combination in itertools.product(*axes.values())
    ]


def _filled_in(prompt_set: PromptSet, row: dict[str, Any], seed: int) -> dict[str, Any]:
    rng = random.Random(stable_id(seed, row["text_id"]))
    facts = _draw_facts(prompt_set, row["facts"], rng)
    variables = {"name": row["class_name"], "notes": facts, **row["values"]}
    try:
        request = render(row["template"], variables)
        constraint = _constraint(prompt_set, variables)
    except jinja2.TemplateError as error:
        raise UserError(
            f"Prompt {row['prompt_id']!r} cannot be filled in for class {row['class_name']!r} "
            f"({error})."
        ) from error
    return {
        **row,
        "prompt": _prompt_text(prompt_set, request, rng),
        "constraint": constraint,
        "notes": json.dumps(facts, ensure_ascii=False),
    }


def _draw_facts(prompt_set: PromptSet, facts: Facts, rng: random.Random) -> dict[str, str]:
    """Returns a draw of as many facts as the prompt set asks for, in the notes' order."""
    if not prompt_set.facts_per_text or not facts:
        return dict(facts)
    group_of = {
        fact: number for number, group in enumerate(prompt_set.facts_together) for fact in group
    }
    groups: dict[object, list[str]] = {}
    for fact in facts:
        groups.setdefault(group_of.get(fact, fact), []).append(fact)
    count = min(rng.choice(prompt_set.facts_per_text), len(groups))
    drawn = {fact for group in rng.sample(list(groups.values()), count) for fact in group}
    return {fact: value for fact, value in facts.items() if fact in drawn}


def _constraint(prompt_set: PromptSet, variables: dict[str, Any]) -> str | None:
    constraint = prompt_set.constraint
    if constraint is None:
        return None
    if constraint.json_schema is not None:
        # Arrow would change a nested object, and vLLM accepts the schema as a string.
        return json.dumps({"json": json.dumps(constraint.json_schema)})
    notes = {fact: escape_regex(value) for fact, value in variables["notes"].items()}
    phrases = [
        render(prompt_set.phrases[fact], {"value": value})
        for fact, value in notes.items()
        if fact in prompt_set.phrases
    ]
    words = {key: escape_regex(value) for key, value in variables.items() if key != "notes"}
    assert constraint.regex is not None
    return json.dumps(
        {"regex": render(constraint.regex, {**words, "notes": notes, "phrases": phrases})},
        ensure_ascii=False,
    )


def _prompt_text(prompt_set: PromptSet, request: str, rng: random.Random) -> str:
    examples = [
        (
            example.user,
            example.assistant
            if isinstance(example.assistant, str)
            else rng.choice(example.assistant),
        )
        for example in prompt_set.examples
    ]
    return prompt_text(request, chat=prompt_set.chat, system=prompt_set.system, examples=examples)


def prompt_text(
    request: str, *, chat: bool, system: str, examples: Sequence[tuple[str, str]]
) -> str:
    """Returns the model's input: chat messages as JSON if `chat`, else one text to continue.

    examples: (request, answer) pairs that come before the request.
    """
    if chat:
        messages = [{"role": "system", "content": system}] if system else []
        for user, assistant in examples:
            messages.append({"role": "user", "content": user})
            messages.append({"role": "assistant", "content": assistant})
        messages.append({"role": "user", "content": request})
        return json.dumps(messages, ensure_ascii=False)
    worked = [f"{user} {assistant}" for user, assistant in examples]
    return "\n\n".join(part for part in (system, *worked, request) if part)
