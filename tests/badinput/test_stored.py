"""Changed artifacts, states and weights: a sentence that says what to delete, nothing executed."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gist_ray.commands.exits import EXIT_USER_ERROR
from gist_ray.encoders.clip import embedded_folder, load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.errors import UserError
from gist_ray.train.config import TrainConfig
from gist_ray.train.optimizer import make_optimizer
from gist_ray.train.precision import gradient_scaler
from gist_ray.train.state import Training, load_state, save_state
from tests.badinput import stored
from tests.badinput.conftest import SMALL, Grounds, run_job
from tests.badinput.drawing import encoded, noise
from tests.badinput.places import snapshot

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_local")]


@pytest.fixture(scope="module")
def words(grounds: Grounds) -> list[str]:
    """A run over eight good pictures with texts of their own, up to matching."""
    for place, name in enumerate(("ant", "bee")):
        (grounds.path / "data" / name).mkdir(parents=True)
        for number in range(4):
            picture = encoded(noise(10 * place + number), "PNG")
            (grounds.path / "data" / name / f"{number}.png").write_bytes(picture)
    texts = grounds.path / "texts.json"
    texts.write_text(json.dumps({"ant": ["A black body."], "bee": ["A striped body."]}))
    data = ["data=image_folder", f"data.path={grounds.path}/data", f"texts.import_from={texts}"]
    return [*SMALL, "study.trainings=[gist]", *data]


@pytest.fixture(scope="module")
def finished(ray_local: None, words: list[str], grounds: Grounds) -> Iterator[Path]:
    root = grounds.path / "finished"
    ended = run_job(*words, f"root={root}", "--until", "match")
    assert (ended.code, ended.complained) == (0, "")
    shutil.rmtree(root / "artifacts" / "matches")
    yield root
    grounds.assert_untouched()


@pytest.mark.parametrize("kind", stored.ARTIFACTS, ids=lambda kind: kind.name)
def test_an_artifact(
    kind: stored.StoredArtifact, finished: Path, words: list[str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    shutil.copytree(finished, root)
    (folder,) = (root / "artifacts" / "image_embeddings").iterdir()
    kind.tamper(folder)
    ended = run_job(*words, f"root={root}", "--until", "match")
    assert ended.code == EXIT_USER_ERROR
    assert re.search(kind.says, ended.complained), ended.complained
    assert re.search("Delete the|Embed both", ended.complained)
    assert not list(root.glob("artifacts/matches/*/artifact.json"))


def test_an_artifact_as_it_was_is_taken(finished: Path, words: list[str], tmp_path: Path) -> None:
    """Without which the test above could pass for another reason."""
    root = tmp_path / "root"
    shutil.copytree(finished, root)
    before = snapshot(*root.glob("artifacts/*_embeddings"))
    ended = run_job(*words, f"root={root}", "--until", "match")
    assert (ended.code, ended.complained) == (0, "")
    assert snapshot(*root.glob("artifacts/*_embeddings")) == before
    assert list(root.glob("artifacts/matches/*/artifact.json"))


@pytest.fixture(scope="module")
def training() -> Training:
    model = load_clip(ClipConfig()).model
    scaler = gradient_scaler("fp32", torch.device("cpu"))
    return Training(model, model, make_optimizer(model, TrainConfig(num_steps=1)), scaler)


@pytest.mark.parametrize("kind", stored.STATES, ids=lambda kind: kind.name)
def test_a_state(
    kind: stored.StoredState, training: Training, grounds: Grounds, tmp_path: Path
) -> None:
    """As a worker of a training reads it."""
    file = tmp_path / "training" / "state.pt"
    save_state(training, str(file))
    assert load_state(training, str(file))
    file.write_bytes(kind.make(file.read_bytes()))
    with pytest.raises(UserError) as caught:
        load_state(training, str(file))
    assert re.search(kind.says, str(caught.value)), str(caught.value)
    assert "Delete it to train from the beginning" in str(caught.value)
    grounds.assert_untouched()


@pytest.mark.parametrize("kind", stored.WEIGHTS, ids=lambda kind: kind.name)
def test_weights(kind: stored.Weights, words: list[str], grounds: Grounds, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    kind.put(folder)
    config = [f"clip.model=local-dir:{folder}", f"root={tmp_path}/root"]
    ended = run_job(*words, *config, "--until", "embed images")
    assert ended.code == kind.code
    assert re.search(kind.says, ended.complained), ended.complained
    assert "Traceback" not in ended.complained
    assert not list(grounds.path.rglob(stored.EXECUTED))
    grounds.assert_untouched()
