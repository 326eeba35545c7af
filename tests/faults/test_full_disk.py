"""The disk of the artifact root fills up while images are embedded."""

from pathlib import Path

from tests.faults.conftest import (
    IN_FLIGHT,
    ON_A_CLUSTER,
    SMALL_DISK_MIB,
    Figures,
    Record,
    Undisturbed,
    World,
)
from tests.faults.job import Job
from tests.faults.left import TOLERANCE, check, stored_rows
from tests.faults.machines import Machines
from tests.faults.reads import Reads

pytestmark = ON_A_CLUSTER

FREE_KIB = 700


def test_a_full_disk_is_named_and_the_same_command_goes_on_once_there_is_space(
    world: World, machines: Machines, undisturbed: Undisturbed, record: Record, tmp_path: Path
) -> None:
    disk, root = machines.disk, machines.disk / "root"
    ballast = disk / "ballast"
    ballast.write_bytes(bytes((SMALL_DISK_MIB << 20) - (FREE_KIB << 10)))
    words = [*world.words, f"root={machines.disk_path}/root", "--until", "embed images frozen"]
    with Reads(world.images) as reads:
        with Job(words, machines, tmp_path / "first") as job:
            assert job.wait() == 2, job.output
        said = job.output[job.output.index("1 problem:") :]
        assert f"{machines.disk_path}/root/artifacts/" in said
        assert "The disk is full (No space left on device: " in said
        assert "Traceback" not in said
        stored = stored_rows(root, "image_embeddings")  # reads every part: none is torn
        assert 0 < stored < world.num_images
        assert not list(root.glob("artifacts/image_embeddings/*/artifact.json"))
        assert not list(root.rglob("*.tmp"))
        ballast.unlink()
        with Job(words, machines, tmp_path / "second") as job:
            assert job.wait() == 0, job.output
    redone = reads.count - world.num_images
    assert check(root, undisturbed.root) <= TOLERANCE
    record(
        Figures(
            "full disk of the root",
            f"{stored} of {world.num_images} images embedded",
            "exit 2, names the file; the same command went on",
            world.num_images,
            redone,
            None,
        )
    )
    assert redone <= 0.1 * world.num_images + IN_FLIGHT
