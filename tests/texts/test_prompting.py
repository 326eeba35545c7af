import json
import re

import pytest

from gist_ray.errors import UserError
from gist_ray.llm.tables import PROMPTS
from gist_ray.texts.prompt_set import Constraint, Example, Prompt, PromptSet, load_prompt_set
from gist_ray.texts.prompting import build_prompts

CLASSES = [(0, "robin"), (1, "crow")]


def a_set(**fields):
    template = fields.pop("template", "Describe {{ article(name) }} {{ name }}.")
    return PromptSet(prompts=[Prompt(id="p", template=template)], **fields)


def test_axes_multiply_prompts_and_samples():
    axes = {"sex": ["male", "female"], "view": ["perched", "in flight", "swimming"]}
    prompt_set = a_set(axes=axes, samples_per_prompt=2, template="{{ sex }} {{ name }} {{ view }}")
    prompts = build_prompts(prompt_set, CLASSES)
    assert prompts.schema == PROMPTS
    assert prompts.num_rows == 2 * 2 * 3 * 2
    assert len(set(prompts["text_id"].to_pylist())) == prompts.num_rows
    first = prompts.slice(0, 1).to_pylist()[0]
    assert (first["axis"], first["sample"], first["label"]) == ("male, perched", 0, 0)
    assert json.loads(first["prompt"]) == [{"role": "user", "content": "male robin perched"}]


def test_a_class_may_have_other_axis_values():
    axes = {"sex": ["male", "female"]}
    class_axes = {"Crow": {"sex": ["either sex"]}}
    prompts = build_prompts(a_set(axes=axes, class_axes=class_axes), CLASSES)
    assert prompts["axis"].to_pylist() == ["male", "female", "either sex"]


def test_chat_messages_carry_system_and_examples():
    prompt_set = a_set(system="Be brief.", examples=[Example(user="q", assistant="a")])
    messages = json.loads(build_prompts(prompt_set, CLASSES)["prompt"][1].as_py())
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[-1]["content"] == "Describe a crow."


def test_a_plain_prompt_ends_where_the_model_goes_on():
    prompt_set = a_set(
        chat=False,
        system="Notes become captions.",
        examples=[Example(user="Notes: x\nCaption:", assistant="An x.")],
        template="Notes: {{ name }}\nCaption: ",
    )
    assert build_prompts(prompt_set, CLASSES)["prompt"][0].as_py() == (
        "Notes become captions.\n\nNotes: x\nCaption: An x.\n\nNotes: robin\nCaption:"
    )


def facts_drawn(prompts):
    return [list(json.loads(notes)) for notes in prompts["notes"].to_pylist()]


def test_facts_are_drawn_seeded_and_in_order():
    notes = {"robin": {"": dict.fromkeys("abcde", "red")}}
    prompt_set = a_set(samples_per_prompt=40, facts_per_text=[2, 3])
    drawn = facts_drawn(build_prompts(prompt_set, CLASSES[:1], notes, seed=1))
    assert {len(facts) for facts in drawn} == {2, 3}
    assert all(facts == sorted(facts) for facts in drawn)
    assert len({tuple(facts) for facts in drawn}) > 5
    assert drawn == facts_drawn(build_prompts(prompt_set, CLASSES[:1], notes, seed=1))
    assert drawn != facts_drawn(build_prompts(prompt_set, CLASSES[:1], notes, seed=2))


def test_another_class_changes_no_draw():
    notes = {name: {"": dict.fromkeys("abcde", "red")} for name in ("robin", "crow")}
    prompt_set = a_set(samples_per_prompt=5, facts_per_text=[2])
    alone = build_prompts(prompt_set, [(1, "crow")], {"crow": notes["crow"]})
    both = build_prompts(prompt_set, CLASSES, notes)
    assert both.slice(5)["prompt"].to_pylist() == alone["prompt"].to_pylist()
    assert facts_drawn(both)[5:] == facts_drawn(alone)


def test_facts_drawn_together_count_as_one():
    notes = {"robin": {"": {"fore": "red", "hind": "blue", "border": "black"}}}
    prompt_set = a_set(samples_per_prompt=20, facts_per_text=[1], facts_together=[["fore", "hind"]])
    drawn = {tuple(facts) for facts in facts_drawn(build_prompts(prompt_set, CLASSES[:1], notes))}
    assert drawn == {("fore", "hind"), ("border",)}


def test_an_axis_has_its_own_facts_and_the_general_ones():
    notes = {"robin": {"": {"back": "brown"}, "male": {"breast": "red"}}}
    prompts = build_prompts(a_set(axes={"sex": ["male", "female"]}), CLASSES[:1], notes)
    assert facts_drawn(prompts) == [["back", "breast"], ["back"]]


def test_a_regex_is_filled_with_escaped_values():
    notes = {"F-16 (A+B)": {"": {"tail": "one fin (grey)"}}}
    prompt_set = a_set(
        phrases={"tail": "(a )?tail of {{ value }}"},
        constraint=Constraint(regex="The {{ name }} has {{ phrases | join(' and ') }}\\."),
    )
    prompts = build_prompts(prompt_set, [(0, "F-16 (A+B)")], notes)
    regex = json.loads(prompts["constraint"][0].as_py())["regex"]
    assert re.fullmatch(regex, "The F-16 (A+B) has a tail of one fin (grey).")


def test_a_json_schema_is_passed_as_a_string():
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    prompts = build_prompts(a_set(constraint=Constraint(json_schema=schema)), CLASSES)
    assert json.loads(json.loads(prompts["constraint"][0].as_py())["json"]) == schema


def test_required_notes_that_are_missing_are_all_listed():
    prompt_set = a_set(axes={"sex": ["male", "female"]}, notes="required")
    notes = {"robin": {"male": {"breast": "red"}}, "dodo": {"male": {"breast": "grey"}}}
    with pytest.raises(UserError) as caught:
        build_prompts(prompt_set, CLASSES, notes)
    assert len(caught.value.problems) == 3
    assert "class 'dodo' that the data set does not have" in str(caught.value)
    assert "'robin' has no notes for 'female'," in str(caught.value)
    assert "'crow' has no notes for 'male', 'female'" in str(caught.value)


def test_a_fact_without_a_phrase():
    prompt_set = a_set(phrases={"a": "{{ value }}"}, constraint=Constraint(regex="{{ phrases }}"))
    with pytest.raises(UserError, match="a fact 'b' that the prompt set has no phrase for"):
        build_prompts(prompt_set, CLASSES[:1], {"robin": {"": {"a": "x", "b": "y"}}})


def test_class_names_are_unique():
    with pytest.raises(UserError, match="'robin' stands for 2 labels"):
        build_prompts(a_set(), [(0, "robin"), (1, "robin")])


@pytest.mark.parametrize(
    ("facts", "good", "bad"),
    [
        (
            {"wings": "orange", "pattern": "white spots"},
            "The male has bright orange wings with small white spots near the tips.",
            "The male has bright red wings with small white spots.",
        ),
        (
            {"forewings": "red", "hindwings": "blue"},
            "A male butterfly shows red forewings and dark blue hindwings.",
            "A male butterfly shows red forewings.",
        ),
        (
            {"pattern": "red band", "border": "orange"},
            "This male bears a bold red band, an orange edge.",
            "This male bears a bold red band, a orange edge.",
        ),
        (
            {"pattern": "a red band", "border": "black"},
            "This male with a red band and black margins.",
            "This male with a a red band and black margins.",
        ),
    ],
)
def test_the_butterflies_constraint_holds_sentences_to_the_facts(facts, good, bad):
    prompts = build_prompts(
        load_prompt_set("butterflies"), [(0, "Fen Lady")], {"Fen Lady": {"": facts}}
    )
    row = prompts.slice(0, 1).to_pylist()[0]
    regex = json.loads(row["constraint"])["regex"]
    assert re.fullmatch(regex, good)
    assert not re.fullmatch(regex, bad)
    assert row["prompt"].endswith("\nCaption:")
    assert f"Notes: male; {next(iter(facts))}: " in row["prompt"]


def test_butterflies_ask_for_eighteen_texts_a_class():
    facts = {"wings": "red", "pattern": "white spots", "border": "black"}
    notes = {"Fen Lady": dict.fromkeys(("male", "female", "autumn form"), facts)}
    prompts = build_prompts(load_prompt_set("butterflies"), [(0, "Fen Lady")], notes)
    assert prompts.num_rows == 18
    assert {len(facts) for facts in facts_drawn(prompts)} == {2, 3}
