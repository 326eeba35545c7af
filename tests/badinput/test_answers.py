"""Bad answers and imported texts through the real stages that clean them."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from gist_ray.commands.exits import EXIT_USER_ERROR
from gist_ray.llm.tables import ANSWERS
from gist_ray.run.stage import Stage
from gist_ray.schema import TEXTS, stable_id, table
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import build_graph
from tests.badinput import answers
from tests.badinput.conftest import SMALL, Ended, Grounds, artifacts, run_job

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]


def words(grounds: Grounds, root: Path) -> list[str]:
    data = grounds.path / "data"
    for name in answers.CLASSES:
        for number in range(4):
            path = data / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    where = [f"data.path={data}", f"root={root}"]
    return ["data=image_folder", "prompts=generic", "max_failed_fraction=1", *SMALL, *where]


def generation(config: list[str]) -> Stage:
    run: RunConfig = build(RunConfig, compose_values("config", config))
    stages = build_graph(run, ArtifactStore(run.root)).stages
    return next(stage for stage in stages if stage.name == "generate texts")


def answered(kinds: list[answers.Answer]) -> pa.Table:
    """Good answers for each class, and `kinds` for the first one."""
    asked = [(label, good, "stop") for label in (0, 1) for good in answers.GOOD]
    asked = [(label, f"{good[:-1]} of kind {label}.", end) for label, good, end in asked]
    asked += [(0, kind.raw, kind.finish_reason) for kind in kinds]
    rows = [
        {
            "text_id": stable_id(raw[:100], len(raw)),
            "label": label,
            "class_name": answers.CLASSES[label],
            "axis": "",
            "prompt_id": "p",
            "sample": number,
            "prompt": "Describe it.",
            "notes": "{}",
            "raw": raw,
            "finish_reason": reason,
            "num_prompt_tokens": 3,
            "num_tokens": 9,
            "model": "m",
            "sampling_params": "{}",
        }
        for number, (label, raw, reason) in enumerate(asked)
    ]
    return table(rows, ANSWERS)


def cleaned(grounds: Grounds, kinds: list[answers.Answer]) -> tuple[Ended, pa.Table]:
    root = grounds.path / f"root_{len(kinds)}"
    config = words(grounds, root)
    stage = generation(config)
    writer = stage.writer(ArtifactStore(str(root)))
    writer.write(answered(kinds))
    writer.publish(1.0)
    ended = run_job(*config, "--until", "clean")
    (artifact,) = artifacts(root, "texts")
    return ended, artifact.read()


@pytest.fixture(scope="module")
def texts(ray_local: None, grounds: Grounds) -> dict[str, dict[str, object]]:
    alone, good = cleaned(grounds, [])
    ended, everything = cleaned(grounds, answers.ANSWERS)
    assert (ended.code, ended.complained) == (alone.code, alone.complained) == (0, "")
    assert "\x1b" not in ended.said
    assert good.num_rows == 4
    assert everything.slice(0, 4).equals(good)
    assert good["rejected"].null_count == 4
    grounds.assert_untouched()
    rows = everything.slice(4).to_pylist()
    return {kind.name: row for kind, row in zip(answers.ANSWERS, rows, strict=True)}


@pytest.mark.parametrize("kind", answers.ANSWERS, ids=lambda kind: kind.name)
def test_an_answer(kind: answers.Answer, texts: dict[str, dict[str, object]]) -> None:
    row = texts[kind.name]
    assert row["rejected"] == kind.rejected
    assert row["raw"] == kind.raw
    if kind.text is not None:
        assert row["text"] == kind.text


@pytest.mark.parametrize("kind", answers.FILES, ids=lambda kind: kind.name)
def test_a_texts_file(kind: answers.TextsFile, grounds: Grounds, tmp_path: Path) -> None:
    file = tmp_path / f"texts.{kind.ending}"
    file.write_bytes(kind.content)
    config = [*words(grounds, tmp_path / "root"), f"texts.import_from={file}"]
    config.append("texts.cleaning.skip=[shared_by_classes]")
    ended = run_job(*config, "--until", "import")
    assert "Traceback" not in ended.complained
    assert "\x1b" not in ended.complained
    if kind.says:
        assert ended.code == EXIT_USER_ERROR
        assert re.search(kind.says, ended.complained), ended.complained
        assert not artifacts(tmp_path / "root", "texts")
    else:
        assert (ended.code, ended.complained) == (0, "")
        (artifact,) = artifacts(tmp_path / "root", "texts")
        assert artifact.read().schema == TEXTS
        assert tuple(artifact.read()["rejected"].to_pylist()) == kind.rejected
    grounds.assert_untouched()
