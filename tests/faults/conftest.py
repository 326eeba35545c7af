"""One cluster, one world and one undisturbed run serve all tests of faults."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pytest

from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from tests.end_to_end.conftest import texts_from_notes
from tests.faults.disk import SmallDisk
from tests.faults.job import Job
from tests.faults.left import is_made
from tests.faults.machines import Machines
from tests.faults.reads import Reads

ON_A_CLUSTER = [pytest.mark.ray, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]
"""The marks of a test on `machines`."""

NUM_WORKERS = 3
CPUS_PER_NODE = 2

WORLD = WorldConfig(
    seed=401,
    num_genera=2,
    species_per_genus=2,
    train_per_species=250,
    val_per_species=8,
    test_per_species=40,
)
ROWS_PER_PART = 16
BATCH_SIZE = 8
NUM_STEPS = 100
STEPS_PER_STATE = 10

# Pictures that may be in the works when something dies: two encoders with a block and the one that
# is being written each, or a training since its last state.
IN_FLIGHT = max(2 * 2 * ROWS_PER_PART, STEPS_PER_STATE * BATCH_SIZE)

SMALL_DISK_MIB = 8


@dataclass(frozen=True)
class World:
    images: Path
    num_images: int
    words: list[str]
    """The job's settings, all but the root."""


@dataclass(frozen=True)
class Undisturbed:
    root: Path
    reads: int
    """Pictures read in all."""
    reads_of_training: int
    seconds: float


@dataclass(frozen=True)
class Figures:
    """A row of the table in docs/faults.md."""

    fault: str
    moment: str
    outcome: str
    rows: int
    redone: int | None
    """Of the rows, how many were computed once more; None where that cannot be counted."""
    seconds: float | None
    """From the fault until the work went on."""


Record = Callable[[Figures], None]


@pytest.fixture(scope="session")
def record(request: pytest.FixtureRequest) -> Record:
    """Prints figures, and appends them to the file that $GIST_RAY_FAULT_FIGURES names."""

    def keep(figures: Figures) -> None:
        line = json.dumps({**asdict(figures), "date": date.today().isoformat()})
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{line}")
        if file := os.environ.get("GIST_RAY_FAULT_FIGURES"):
            with open(file, "a") as lines:
                lines.write(f"{line}\n")

    return keep


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> SmallDisk:
    return SmallDisk(tmp_path_factory.mktemp("disk"), SMALL_DISK_MIB)


@pytest.fixture(scope="session")
def machines(small_disk: SmallDisk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A cluster, all of whose processes see the small disk."""
    cluster = Machines(tmp_path_factory.mktemp("cluster"), small_disk)
    cluster.up(NUM_WORKERS, CPUS_PER_NODE)
    yield cluster
    cluster.down()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Pictures, five of them broken, and settings that make every other stage small."""
    folder = tmp_path_factory.mktemp("world")
    write_collection(WORLD, str(folder))
    (folder / "texts.json").write_text(json.dumps(texts_from_notes(WORLD)))
    pictures = sorted((folder / "images" / "train").rglob("*.png"))
    for picture in pictures[100::200]:
        picture.write_bytes(picture.read_bytes()[:200])
    words = [
        "name=faults",
        "data=image_folder",
        f"data.path={folder}/images",
        f"texts.import_from={folder}/texts.json",
        "study.trainings=[gist]",
        "study.shots=[5]",
        "study.seeds=[1]",
        "evaluation.num_bootstrap=50",
        "matching.k=1",
        f"embed.rows_per_part={ROWS_PER_PART}",
        f"embed.batch_size={ROWS_PER_PART}",
        f"finetune.num_steps={NUM_STEPS}",
        f"finetune.validate_every_steps={STEPS_PER_STATE}",
        f"finetune.batch_size={BATCH_SIZE}",
        "finetune.precision=fp32",
        # every visit of a training reads its picture, so that visits can be counted
        "finetune.cache_mib=0",
        # the comparison of pictures reads them, too
        "data.duplicates=ignore",
    ]
    return World(folder / "images", len(list((folder / "images").rglob("*.png"))), words)


@pytest.fixture(scope="session")
def undisturbed(
    world: World, machines: Machines, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    with (
        Reads(world.images) as reads,
        Job([*world.words, f"root={root}"], machines, root / "log") as job,
    ):
        job.wait_until(lambda: is_made(root, "image_embeddings"))
        before = reads.count
        job.wait_until(lambda: is_made(root, "finetuned"))
        training = reads.count - before
        assert job.wait() == 0, job.output
        seconds = job.seconds
    return Undisturbed(root, reads.count, training, seconds)
