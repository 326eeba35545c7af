"""Workers and machines that die while images are embedded and a model is trained; the job itself
goes on."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

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
from tests.faults.left import TOLERANCE, check, is_made, metrics, stored_rows
from tests.faults.machines import Machines
from tests.faults.reads import Reads

pytestmark = ON_A_CLUSTER

EMBEDDINGS = "image_embeddings"


WARM_WORKER, ENCODER = "WarmProcess", "ImageEncoder"
"""Words in the titles of the processes."""


@dataclass(frozen=True)
class Deaths:
    """What the deaths of an embedding cost."""

    redone_of_process: int
    seconds_of_process: float
    redone_of_machine: int
    seconds_of_machine: float

    def figures(self, process: str, rows: int) -> list[Figures]:
        went_on = "the run went on"
        return [
            Figures(
                f"kill -9 of {process}",
                "a quarter embedded",
                went_on,
                rows,
                self.redone_of_process,
                self.seconds_of_process,
            ),
            Figures(
                f"the machine of {process} dies",
                "half embedded",
                went_on,
                rows,
                self.redone_of_machine,
                self.seconds_of_machine,
            ),
        ]


def working(job: Job, machines: Machines, title: str) -> psutil.Process:
    """Of the processes with this title, once there are some, the one that works hardest: others
    may wait for their next call."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = machines.workers(title)
        return bool(found)

    job.wait_until(is_there)
    return max(found, key=lambda process: process.cpu_percent(interval=0.3))


def embed_through_deaths(
    job: Job, machines: Machines, title: str, *, reads: Reads, root: Path, num_images: int
) -> Deaths:
    """Kills a process with this title at a quarter of the pictures, and a machine at half of them;
    returns once all are embedded, with as many machines as before."""

    def stored() -> int:
        return stored_rows(root, EMBEDDINGS)

    def until_on() -> float:
        """Seconds until more is stored than was in flight."""
        killed, start = stored(), time.monotonic()
        job.wait_until(lambda: stored() > killed + IN_FLIGHT)
        return round(time.monotonic() - start, 1)

    job.wait_until(lambda: stored() >= num_images / 4)
    working(job, machines, title).kill()
    seconds_of_process = until_on()
    job.wait_until(lambda: stored() >= num_images / 2)
    redone_of_process = reads.repeated
    machines.kill_machine(machines.machine_of(working(job, machines, title)))
    seconds_of_machine = until_on()
    job.wait_until(lambda: is_made(root, EMBEDDINGS))
    redone_of_machine = reads.repeated - redone_of_process
    machines.add_machine()
    return Deaths(redone_of_process, seconds_of_process, redone_of_machine, seconds_of_machine)


def test_dead_workers_cost_what_was_in_flight_and_change_nothing(
    world: World,
    machines: Machines,
    undisturbed: Undisturbed,
    record: Record,
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    with (
        Reads(world.images) as reads,
        Job([*world.words, f"root={root}"], machines, tmp_path / "log") as job,
    ):
        deaths = embed_through_deaths(
            job, machines, WARM_WORKER, reads=reads, root=root, num_images=world.num_images
        )
        embedded = reads.count
        job.wait_until(lambda: any(root.glob("artifacts/finetuned/*/state.pt")))
        # between two states
        at = reads.count
        job.wait_until(lambda: reads.count >= at + IN_FLIGHT / 2)
        machines.kill_machine(machines.machine_of(working(job, machines, WARM_WORKER)))
        at, start = reads.count, time.monotonic()
        job.wait_until(lambda: reads.count >= at + BATCH_SIZE)
        seconds_of_training = round(time.monotonic() - start, 1)
        job.wait_until(lambda: is_made(root, "finetuned"))
        redone_of_training = reads.count - embedded - undisturbed.reads_of_training
        machines.add_machine()
        assert job.wait() == 0, job.output

    difference = check(root, undisturbed.root)
    of_training = Figures(
        "the machine of a training dies",
        "between the first states",
        "the run went on",
        undisturbed.reads_of_training,
        redone_of_training,
        seconds_of_training,
    )
    check_figures([*deaths.figures("a warm worker", world.num_images), of_training], record)
    assert difference <= TOLERANCE
    assert metrics(root).equals(metrics(undisturbed.root))


def test_dead_encoders_of_ray_data_cost_what_was_in_flight(
    world: World,
    machines: Machines,
    undisturbed: Undisturbed,
    record: Record,
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    words = [*world.words, f"root={root}", "embed.max_workers=2", "--until", "embed images frozen"]
    with (
        Reads(world.images) as reads,
        Job(words, machines, tmp_path / "log") as job,
    ):
        deaths = embed_through_deaths(
            job, machines, ENCODER, reads=reads, root=root, num_images=world.num_images
        )
        assert job.wait() == 0, job.output
    assert check(root, undisturbed.root) <= TOLERANCE
    check_figures(deaths.figures("an encoder on Ray Data", world.num_images), record)


def check_figures(found: Sequence[Figures], record: Record) -> None:
    for figures in found:
        record(figures)
    for figures in found:
        assert figures.redone is not None
        assert figures.redone <= 0.1 * figures.rows + IN_FLIGHT, figures.fault
