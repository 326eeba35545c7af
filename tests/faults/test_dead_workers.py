"""Workers and machines that die while images are embedded and a model is trained; the job itself
goes on."""

import time
from pathlib import Path

from tests.faults.conftest import (
    BATCH_SIZE,
    IN_FLIGHT,
    ON_A_CLUSTER,
    Figures,
    Record,
    Undisturbed,
    World,
)
from tests.faults.job import Job
from tests.faults.left import TOLERANCE, check, metrics, stored_rows
from tests.faults.machines import Machines
from tests.faults.reads import Reads

pytestmark = ON_A_CLUSTER

EMBEDDINGS = "image_embeddings"


def test_dead_workers_cost_what_was_in_flight_and_change_nothing(
    world: World,
    machines: Machines,
    undisturbed: Undisturbed,
    record: Record,
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"

    def stored() -> int:
        return stored_rows(root, EMBEDDINGS)

    def until_on() -> float:
        """Seconds until more is stored than was in flight."""
        killed, start = stored(), time.monotonic()
        job.wait_until(lambda: stored() > killed + IN_FLIGHT)
        return round(time.monotonic() - start, 1)

    with (
        Reads(world.images) as reads,
        Job([*world.words, f"root={root}"], machines, tmp_path / "log") as job,
    ):
        job.wait_until(lambda: stored() >= world.num_images / 4)
        machines.workers("ImageEncoder")[0].kill()
        seconds_of_actor = until_on()
        job.wait_until(lambda: stored() >= world.num_images / 2)
        redone_of_actor = reads.repeated

        encoders = machines.workers("ImageEncoder")
        machines.kill_machine(machines.machine_of(encoders[0]))
        seconds_of_machine = until_on()
        job.wait_until(lambda: job.says("finetune gist 5-shot seed 1", "runs"))
        redone_of_machine = reads.repeated - redone_of_actor
        embedded = reads.count
        machines.add_machine()

        job.wait_until(lambda: any(root.glob("artifacts/finetuned/*/state.pt")))
        # between two states
        at = reads.count
        job.wait_until(lambda: reads.count >= at + IN_FLIGHT / 2)
        machines.kill_machine(machines.machine_of(machines.workers("RayTrainWorker")[0]))
        at, start = reads.count, time.monotonic()
        job.wait_until(lambda: reads.count >= at + BATCH_SIZE)
        seconds_of_training = round(time.monotonic() - start, 1)
        job.wait_until(lambda: job.says("embed images gist 5-shot seed 1", "runs"))
        redone_of_training = reads.count - embedded - undisturbed.reads_of_training
        machines.add_machine()
        assert job.wait() == 0, job.output

    difference = check(root, undisturbed.root)
    went_on = "the run went on"
    for fault, moment, rows, redone, seconds in (
        (
            "kill -9 of an encoder",
            "a quarter embedded",
            world.num_images,
            redone_of_actor,
            seconds_of_actor,
        ),
        (
            "a machine dies while it embeds",
            "half embedded",
            world.num_images,
            redone_of_machine,
            seconds_of_machine,
        ),
        (
            "the machine of a training dies",
            "between the first states",
            undisturbed.reads_of_training,
            redone_of_training,
            seconds_of_training,
        ),
    ):
        record(Figures(fault, moment, went_on, rows, redone, seconds))
        assert redone <= 0.1 * rows + IN_FLIGHT, fault
    assert difference <= TOLERANCE
    assert metrics(root).equals(metrics(undisturbed.root))
