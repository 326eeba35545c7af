from pathlib import Path
from typing import Any

import pytest

from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.llm.config import LlmConfig
from gist_ray.run.flow import run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage, in_order
from gist_ray.schema import TEXTS, table
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.texts.concepts import concepts_stage, read_concepts
from gist_ray.texts.config import TextsConfig
from gist_ray.texts.prompt_set import Prompt, PromptSet
from gist_ray.texts.stage import TextSource


def written(file: Path, content: str) -> str:
    file.write_text(content)
    return str(file)


def held(*texts: str) -> Stage:
    """A stage that leaves texts of the set "class"; the last one is rejected."""
    fixed = dict.fromkeys(["axis", "prompt_id", "prompt", "raw", "model"], "")
    rows = [
        {
            **fixed,
            "text_id": str(number),
            "set": "class",
            "label": 0,
            "class_name": "wren",
            "sample": 0,
            "text": text,
            "sampling_params": "{}",
            "rejected": "url" if number == len(texts) - 1 else None,
        }
        for number, text in enumerate(texts)
    ]
    made = table(rows, TEXTS)
    return Stage(name="t", kind="t", group="t", run=lambda found, writer, say: writer.write(made))


def source(manifest: Stage, **texts: Any) -> TextSource:
    return TextSource(
        texts=TextsConfig(**texts),
        prompts=PromptSet(prompts=[Prompt(id="p", template="Describe {{ name }}.")]),
        llm=LlmConfig(),
        seed=0,
        clip=ClipConfig(model="butterfly-clip"),
        clip_identity={"clip": "made"},
        manifest=manifest,
        rows=table([], TEXTS),
        classes=[(0, "wren")],
        notes=None,
    )


def rows_of(stage: Stage, root: Path) -> list[dict[str, Any]]:
    done = run_flow(
        in_order([stage]), ArtifactStore(str(root)), Progress(), num_cpus=1, max_failed_fraction=0
    )
    found = done[stage.name].artifact.read()
    assert found.schema == TEXTS
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def test_lines_of_a_file_are_phrases_and_bad_ones_are_rejected_by_name(tmp_path: Path) -> None:
    uri = written(
        tmp_path / "concepts.txt",
        "red wings\n\n  white   spots \nRed-wings\n...\nsee www.birds.com\n" + 40 * "very " + "\n",
    )
    texts = held("red", "x")
    stage = concepts_stage(source(texts, concepts=uri), texts)
    assert not stage.inputs
    rows = rows_of(stage, tmp_path / "root")
    assert [(row["sample"], row["text"], row["rejected"]) for row in rows[:5]] == [
        (1, "red wings", None),
        (3, "white spots", None),
        (4, "Red-wings", "duplicate"),
        (5, "...", "empty"),
        (6, "see www.birds.com", "url"),
    ]
    assert rows[5]["rejected"] == "too_long"
    assert {(row["set"], row["label"], row["class_name"]) for row in rows} == {
        ("concepts", None, None)
    }
    assert len({row["text_id"] for row in rows}) == 6


def test_what_was_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = written(tmp_path / "concepts.txt", "red wings\nred wings\n?\n")
    rows_of(concepts_stage(source(held("x"), concepts=uri), held("x")), tmp_path / "root")
    assert "3 phrases, 2 left out: 2 (duplicate), 3 (empty)" in capsys.readouterr().out


def test_a_json_list_is_read(tmp_path: Path) -> None:
    uri = written(tmp_path / "concepts.json", '["red wings", "a beak"]')
    assert read_concepts(uri).column("text").to_pylist() == ["red wings", "a beak"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.json", '{"wren": ["red wings"]}', "must be a JSON list"),
        ("c.json", '["red wings", 3, null]', r"2 entries are no strings: \[2, 3\]"),
        ("c.json", "[", "cannot be read"),
        ("c.txt", "\n...\n", r"no usable phrase, 1 left out: 2 \(empty\)"),
    ],
)
def test_a_broken_file_is_said(tmp_path: Path, name: str, content: str, said: str) -> None:
    uri = written(tmp_path / name, content)
    with pytest.raises(UserError, match=said):
        read_concepts(uri)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        read_concepts(str(tmp_path / "none.txt"))


def test_a_file_counts_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "concepts.txt"
    prints = []
    for content in ("red wings", "red wings\n", "white wings"):
        uri = written(file, content)
        prints.append(concepts_stage(source(held("x"), concepts=uri), held("x")).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_without_a_file_they_are_mined_from_the_usable_texts(tmp_path: Path) -> None:
    texts = held("A wren with red wings.", "Red wings, red beak.", "A beak, a beak.")
    stage = concepts_stage(source(texts), texts)
    rows = rows_of(stage, tmp_path)
    assert [row["text"] for row in rows] == ["wings", "red wings"]
    assert {(row["set"], row["label"]) for row in rows} == {("concepts", None)}
    fewer = concepts_stage(source(texts, max_concepts=1), texts)
    assert fewer.fingerprint != stage.fingerprint


def test_texts_without_a_common_word_are_said(tmp_path: Path) -> None:
    texts = held("Red wings.", "A beak.", "x")
    with pytest.raises(UserError, match="no word is in two of the 2 texts"):
        rows_of(concepts_stage(source(texts), texts), tmp_path)
