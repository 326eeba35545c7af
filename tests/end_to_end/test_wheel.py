"""The wheel in a fresh environment, used from an empty folder: nothing of the checkout is seen."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
SHIM = "_torchvision_ops_shim"


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    bin: Path
    folder: Path

    def __call__(self, program: str, *words: str) -> str:
        """The standard output of a program of the environment, which has to succeed."""
        hidden = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "RAY_ADDRESS")
        done = subprocess.run(
            [self.bin / program, *words],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name not in hidden},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    base: Path = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(base)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = base.glob("*.whl")
    venv = base / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", wheel], check=True)
    # What it depends on is where the tests run. A path in a .pth file comes after the wheel's own,
    # and the .pth files of that folder, among them that of an editable install, are not read.
    lines = [sysconfig.get_paths()["purelib"]]
    if importlib.util.find_spec(SHIM):
        lines.append(f"import {SHIM}")
    (site_packages,) = venv.glob("lib/python3*/site-packages")
    (site_packages / "dependencies.pth").write_text("\n".join(lines) + "\n")
    folder = base / "empty"
    folder.mkdir()
    return Installed(venv / "bin", folder)


@pytest.mark.slow
def test_the_checkout_is_out_of_sight(installed: Installed) -> None:
    program = """
import sys, gist_ray
from gist_ray.settings.configs import CONFIGS
print(gist_ray.__file__, CONFIGS, *sys.path, sep="\\n")
"""
    package, configs, *path = installed("python", "-c", program).splitlines()
    site_packages = str(installed.bin.parent / "lib")
    assert package.startswith(site_packages)
    assert configs == str(Path(package).parent / "configs")
    assert str(CHECKOUT) not in path


@pytest.mark.slow
def test_help_plan_and_a_tiny_run(installed: Installed, in_world: list[str]) -> None:
    assert "commands:" in installed("gist-ray", "--help")
    assert "data=" in installed("gist-ray", "completion", "bash")
    assert "Plan of tiny" in installed("gist-ray", "run", "--plan", *in_world)
    assert list(installed.folder.iterdir()) == []
    assert "Report: " in installed("gist-ray", "run", *in_world)
    run = installed.folder / "results" / "runs" / "tiny"
    assert "</html>" in (run / "report.html").read_text()
    assert "finished" in installed("gist-ray", "status", "results", "--run", "tiny")
