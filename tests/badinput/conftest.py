"""The job as a user starts it, and folders beside the data set in which nothing may change."""

import io
import json
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from gist_ray.store.artifacts import Artifact
from tests.badinput.drawing import encoded, noise
from tests.badinput.places import SECRET, snapshot

JOB = Path(__file__).parents[2] / "jobs" / "run.py"
SMALL = ["study.trainings=[]", "study.shots=[2]", "study.seeds=[1]", "evaluation.num_bootstrap=50"]


@dataclass(frozen=True)
class Ended:
    """How a job ended."""

    code: int
    said: str
    """Standard output."""
    complained: str
    """Standard error."""


Job = Callable[..., Ended]


def run_job(*words: str) -> Ended:
    """`gist-ray run` with these words, in this process, so that it uses the tests' Ray."""
    said, complained = io.StringIO(), io.StringIO()
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(complained):
        patch.setattr(sys, "argv", [str(JOB), *words])
        try:
            runpy.run_path(str(JOB), run_name="__main__")
        except SystemExit as end:
            code = int(end.code or 0)
    return Ended(code, said.getvalue(), complained.getvalue())


@dataclass(frozen=True)
class Grounds:
    """A folder of the tests' own with what no job may touch."""

    path: Path
    """data/, root/ and the like go here."""
    untouched: tuple[Path, ...]
    """A folder beside them, the home folder and the working folder."""
    before: dict[str, tuple[int, int, bytes]]

    def assert_untouched(self) -> None:
        assert snapshot(*self.untouched) == self.before


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    path = tmp_path_factory.mktemp("grounds")
    sentinel, home, cwd = (path / name for name in ("sentinel", "home", "cwd"))
    for folder in (sentinel, home, cwd):
        folder.mkdir()
    (sentinel / "secret.txt").write_text(SECRET)
    (sentinel / "private.png").write_bytes(encoded(noise(8), "PNG"))
    (home / ".profile").write_text("# as it was\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        # drawing libraries keep what they know of fonts there
        patch.setenv("MPLCONFIGDIR", str(path / "matplotlib"))
        patch.chdir(cwd)
        found = Grounds(path, (sentinel, home, cwd), snapshot(sentinel, home, cwd))
        yield found
        found.assert_untouched()


def artifacts(root: Path, kind: str) -> list[Artifact]:
    """The finished artifacts of a kind."""
    files = sorted(root.glob(f"artifacts/{kind}/*/artifact.json"))
    return [Artifact(str(file.parent), json.loads(file.read_text())) for file in files]


def embeddings(root: Path) -> dict[str, list[float]]:
    (found,) = artifacts(root, "image_embeddings")
    rows = found.read()
    return dict(zip(rows["image_id"].to_pylist(), rows["embedding"].to_pylist(), strict=True))


def error_rows(root: Path) -> list[dict[str, str]]:
    """The error rows of reading the data set and of embedding its pictures."""
    kinds = ("manifest", "image_embeddings")
    found = [artifact for kind in kinds for artifact in artifacts(root, kind)]
    return [row for artifact in found for row in artifact.read_errors().to_pylist()]
