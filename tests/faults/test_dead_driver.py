"""The driver dies again and again, and the same command is given again."""

from pathlib import Path

import numpy as np

from tests.faults.conftest import IN_FLIGHT, ON_A_CLUSTER, Figures, Record, Undisturbed, World
from tests.faults.job import Job
from tests.faults.left import TOLERANCE, check, metrics
from tests.faults.machines import Machines
from tests.faults.reads import Reads

pytestmark = ON_A_CLUSTER

NUM_KILLS = 5


def test_a_driver_killed_five_times_ends_as_one_that_was_left_alone(
    world: World, machines: Machines, undisturbed: Undisturbed, record: Record, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    # One in each fifth of the work, of which the pictures read are the measure.
    random = np.random.default_rng(5)
    moments = [(fifth + random.random()) / NUM_KILLS for fifth in range(NUM_KILLS)]
    seconds, words = 0.0, [*world.words, f"root={root}"]
    with Reads(world.images) as reads:
        for number, moment in enumerate(moments):
            with Job(words, machines, tmp_path / f"killed{number}") as job:
                job.wait_until(lambda at=moment: reads.count >= at * undisturbed.reads)
                job.kill()
                seconds += job.seconds
        with Job(words, machines, tmp_path / "last") as job:
            assert job.wait() == 0, job.output
            seconds += job.seconds
    redone = reads.count - undisturbed.reads
    difference = check(root, undisturbed.root)
    record(
        Figures(
            f"kill -9 of the driver, {NUM_KILLS} times",
            ", ".join(f"{moment:.0%}" for moment in moments) + " of the work",
            "the same command went on each time (seconds: each)",
            undisturbed.reads,
            redone,
            round((seconds - undisturbed.seconds) / NUM_KILLS, 1),
        )
    )
    assert difference <= TOLERANCE
    assert metrics(root).equals(metrics(undisturbed.root))
    assert redone <= 0.1 * undisturbed.reads + NUM_KILLS * IN_FLIGHT
