"""Which lease is in force, and whether its holder is alive."""

import json
import os
import signal
import subprocess
import sys
import time

from gist_ray.run.lease import (
    file_of,
    generations_of,
    is_dead,
    is_own,
    process_lease,
    read_lease,
    who,
)
from gist_ray.store import storage
from tests.run.conftest import far_away

OTHER_PROCESS = """
import json, time
from gist_ray.run.lease import process_lease
print(json.dumps(process_lease()), flush=True)
time.sleep(600)
"""


def test_a_process_of_this_machine_is_dead_once_it_is_killed() -> None:
    command = [sys.executable, "-c", OTHER_PROCESS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        theirs = json.loads(process.stdout.readline())
        assert not is_own(theirs)
        assert not is_dead(theirs | {"updated": 0})  # slow, but there
        os.kill(process.pid, signal.SIGKILL)
        while process.poll() is None:  # a zombie until it is waited for
            if is_dead(theirs):
                break
        assert is_dead(theirs)


def test_a_process_id_that_was_given_anew_is_another_process() -> None:
    assert is_dead(process_lease() | {"process_started": time.time() - 1e6})


def test_one_on_another_machine_is_dead_once_it_is_silent() -> None:
    assert not is_dead(far_away(silent_s=10))
    assert is_dead(far_away(silent_s=31))


def test_a_lease_that_this_process_gave_up_is_dead() -> None:
    assert not is_dead(process_lease())
    assert is_dead(process_lease(token="of a heartbeat that ended"))


def test_the_newest_generation_is_in_force(uri: str) -> None:
    assert read_lease(uri) is None
    for generation in (1, 2, 10):
        storage.write_json(file_of(uri, generation), far_away() | {"pid": generation})
        storage.write_json(f"{uri}.other", {})
        found = read_lease(uri)
        assert found is not None
        assert who(found) == f"process {generation} on far"
    assert generations_of(uri) == [1, 2, 10]


def test_a_lease_that_is_not_whole(local_uri: str) -> None:
    storage.write_text(local_uri, '{"machine": "ano')
    assert read_lease(local_uri) == {}
