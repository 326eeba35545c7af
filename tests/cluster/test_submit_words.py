"""What cluster/submit refuses before it asks the cluster anything."""

import subprocess
import sys
from pathlib import Path

import pytest

SUBMIT = Path(__file__).parents[2] / "cluster" / "submit"


def submit(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "PYTHON": sys.executable, **env}
    return subprocess.run([SUBMIT, *words], env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    "name",
    ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "HF_TOKEN", "my_secret", "API_KEY=1", "DB_PASSWORD"],
)
def test_what_looks_like_a_secret_is_not_submitted(name):
    done = submit("--address=http://127.0.0.1:1", f"--env={name}", "--", "true")
    assert done.returncode == 2
    assert "looks like a secret" in done.stderr
    assert "instance role" in done.stderr


def test_a_variable_that_is_not_set_is_no_empty_one():
    done = submit("--address=http://127.0.0.1:1", "--env=COLOUR", "--", "true")
    assert done.returncode == 2
    assert "--env COLOUR: is not set here" in done.stderr


def test_no_cluster_is_taken_that_was_not_named():
    done = submit("--", "true")
    assert done.returncode == 2
    assert "No cluster is named" in done.stderr


def test_a_command_is_wanted():
    done = submit("--address=http://127.0.0.1:1")
    assert done.returncode == 2
    assert "give a command after --" in done.stderr


def test_a_cluster_that_does_not_answer_is_said():
    done = submit("--address=http://127.0.0.1:1", "--env=AWS_REGION=eu-west-1", "--", "true")
    assert done.returncode == 2
    assert "http://127.0.0.1:1 does not answer" in done.stderr
    assert "Traceback" not in done.stderr
