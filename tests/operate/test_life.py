"""Who is alive at a place of the store, among processes of this machine and of others."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gist_ray.errors import UserError
from gist_ray.operate import life
from gist_ray.operate.life import Sign, claim, is_dead, is_own, read_sign, sign
from gist_ray.store import storage

OTHER_PROCESS = """
import json, sys, time
from gist_ray.operate.life import sign
print(json.dumps(sign()), flush=True)
time.sleep(60)
"""


def silent(message: str) -> None:
    pass


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], Sign]]:
    """A process that lives, and its sign."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    yield process, json.loads(process.stdout.readline())
    process.kill()
    process.wait()


def on_another_machine(age_s: float) -> Sign:
    return sign() | {"machine": "another", "host": "far-away", "updated": time.time() - age_s}


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return str(tmp_path / "runs" / "a" / "alive.json")


def test_one_of_many_gets_a_free_place(uri: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda n: storage.write_new(uri, b"%d" % n), range(8)))
    assert sum(won) == 1
    assert storage.read_text(uri) == str(won.index(True))


def test_ones_own_place_stays_ones_own(uri: str) -> None:
    assert claim(uri, sign(), silent) is None
    assert claim(uri, sign(again=True), silent) is None
    found = read_sign(uri)
    assert found is not None
    assert is_own(found)
    assert found["again"]


def test_a_process_of_this_machine_is_dead_once_it_is_killed(
    uri: str, other: tuple[subprocess.Popen[str], Sign]
) -> None:
    process, theirs = other
    assert not is_dead(theirs | {"updated": 0})  # slow, but there
    os.kill(process.pid, signal.SIGKILL)
    while process.poll() is None:  # a zombie until it is waited for
        if is_dead(theirs):
            break
    assert is_dead(theirs)
    storage.write_json(uri, theirs)
    assert claim(uri, sign(), silent) == theirs


def test_a_process_id_that_was_given_anew_is_another_process() -> None:
    assert is_dead(sign() | {"process_started": time.time() - 1e6})


def test_one_on_another_machine_is_dead_once_it_is_silent(uri: str) -> None:
    assert not is_dead(on_another_machine(age_s=10))
    assert is_dead(on_another_machine(age_s=31))
    storage.write_json(uri, on_another_machine(age_s=31))
    taken = claim(uri, sign(), silent)
    assert taken is not None
    assert taken["host"] == "far-away"


@pytest.mark.parametrize("left", ["from the future", "cut short"])
def test_what_never_changes_is_dead_whatever_its_clock_says(
    uri: str, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "SILENT_S", 0.2)
    monkeypatch.setattr(life, "BEAT_S", 0.02)
    monkeypatch.setattr(life, "POLL_S", 0.02)
    if left == "from the future":
        storage.write_json(uri, on_another_machine(age_s=-1e6))
    else:
        storage.write_text(uri, '{"machine": "ano')
    claim(uri, sign(), silent, patience_s=0.1)
    found = read_sign(uri)
    assert found is not None
    assert is_own(found)


def test_a_second_run_of_one_name_is_told_of_the_first(
    uri: str, other: tuple[subprocess.Popen[str], Sign], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, theirs = other
    monkeypatch.setattr(life, "POLL_S", 0.02)
    storage.write_json(uri, theirs)
    said: list[str] = []
    with pytest.raises(UserError, match=rf"process {process.pid} on .* runs this already"):
        claim(uri, sign(), said.append, patience_s=0.2)
    assert len(said) == 1
    assert read_sign(uri) == theirs


def test_a_place_that_gets_free_is_taken(
    uri: str, other: tuple[subprocess.Popen[str], Sign], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "POLL_S", 0.02)
    storage.write_json(uri, other[1])

    def leave(message: str) -> None:
        storage.delete(uri)

    assert claim(uri, sign(), leave) is None


def test_no_sign_where_there_is_none(uri: str) -> None:
    found: Any = read_sign(uri)
    assert found is None
