"""Absurd and hostile settings: refused at plan, all with exit code 2 and a sentence."""

import re

import pytest

from gist_ray.commands.exits import EXIT_USER_ERROR
from tests.badinput.configs import KINDS, SECRET, BadConfig
from tests.badinput.conftest import SMALL, Grounds, run_job
from tests.badinput.places import snapshot


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_config(kind: BadConfig, grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIST_RAY_TEST_SECRET", SECRET)
    for name in ("ant", "bee"):
        for number in range(4):
            path = grounds.path / "data" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for name, content in kind.files.items():
        (grounds.path / name).parent.mkdir(exist_ok=True)
        (grounds.path / name).write_bytes(content())
    before = snapshot(grounds.path / "data")
    words = [word.replace("{grounds}", str(grounds.path)) for word in kind.words]
    data = ["data=image_folder", f"data.path={grounds.path}/data", "prompts=generic"]
    ended = run_job("--plan", f"root={grounds.path}/root", *SMALL, *data, *words)
    assert ended.code == EXIT_USER_ERROR
    assert re.search(kind.says, ended.complained), ended.complained
    assert "Traceback" not in ended.complained
    assert SECRET not in ended.said + ended.complained
    assert "\x1b" not in ended.complained
    assert snapshot(grounds.path / "data") == before
    grounds.assert_untouched()


def test_other_settings_may_be_referred_to(grounds: Grounds) -> None:
    ended = run_job("--show-config", "study.seeds=['${seed}']", "seed=5", "name=x")
    assert (ended.code, ended.complained) == (0, "")
    assert "seeds:\n  - 5\n" in ended.said
