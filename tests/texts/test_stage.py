from pathlib import Path

from gist_ray.run.flow import run_flow
from gist_ray.run.progress import Progress
from gist_ray.run.stage import Stage
from gist_ray.schema import TEXTS
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.texts.prompt_set import Prompt, PromptSet
from gist_ray.texts.stage import names_stage

CLASSES = [(0, "wren"), (2, "sea eagle")]


def names(templates: list[str], classes: list[tuple[int, str]] = CLASSES) -> Stage:
    asked = [Prompt(id="p", template="Describe {{ name }}.")]
    return names_stage(PromptSet(prompts=asked, zero_shot_templates=templates), classes)


def test_each_class_name_stands_in_each_template(tmp_path: Path) -> None:
    stage = names(["a {}.", "the {}, a bird."])
    done = run_flow(
        [stage], ArtifactStore(str(tmp_path)), Progress(), num_cpus=1, max_failed_fraction=0
    )
    rows = done[stage.name].artifact.read()
    assert rows.schema == TEXTS
    assert [(row["label"], row["class_name"], row["text"]) for row in rows.to_pylist()] == [
        (0, "wren", "a wren."),
        (0, "wren", "the wren, a bird."),
        (2, "sea eagle", "a sea eagle."),
        (2, "sea eagle", "the sea eagle, a bird."),
    ]
    assert set(rows.column("set").to_pylist()) == {"names"}
    assert len(set(rows.column("text_id").to_pylist())) == len(rows) == stage.num_rows
    assert rows.column("rejected").null_count == len(rows)


def test_names_count_by_what_they_say() -> None:
    stage = names(["a {}."])
    assert stage.fingerprint == names(["a {}."]).fingerprint
    assert stage.fingerprint != names(["the {}."]).fingerprint
    assert stage.fingerprint != names(["a {}."], [(0, "wren"), (1, "sea eagle")]).fingerprint
