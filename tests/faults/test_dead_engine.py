"""The machine of the language model's engine dies while it writes."""

import json
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.faults.conftest import ON_A_CLUSTER, Figures, Record
from tests.faults.job import Job
from tests.faults.left import stored_rows
from tests.faults.machines import Machines

pytestmark = ON_A_CLUSTER

BATCH = 8
NUM_BATCHES_AT_ONCE = 2
IN_FLIGHT = BATCH * NUM_BATCHES_AT_ONCE
NUM_TEXTS = 4 * 3 * 16  # species, forms, samples


def test_the_engine_starts_anew_elsewhere_and_keeps_what_was_written(
    machines: Machines, record: Record, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    words = [
        "name=engine",
        f"root={root}",
        *("data.seed=401", "data.num_genera=2", "data.species_per_genus=2"),
        *("data.train_per_species=1", "data.val_per_species=1", "data.test_per_species=1"),
        "prompts.samples_per_prompt=16",
        f"llm.batch_size={BATCH}",
        f"llm.texts_per_file={BATCH}",
        f"llm.max_concurrent_batches={NUM_BATCHES_AT_ONCE}",
        *("--until", "generate"),
    ]
    with Job(words, machines, tmp_path / "log") as job:
        job.wait_until(lambda: stored_rows(root, "answers") >= NUM_TEXTS / 4)
        machines.kill_machine(machines.machine_of(machines.workers("vLLM")[0]))
        before, start = _parts(root), time.monotonic()
        stored = stored_rows(root, "answers")
        job.wait_until(lambda: stored_rows(root, "answers") > stored + IN_FLIGHT)
        seconds = round(time.monotonic() - start, 1)
        machines.add_machine()
        assert job.wait() == 0, job.output

    (folder,) = root.glob("artifacts/answers/*")
    info = json.loads((folder / "artifact.json").read_text())
    assert info["counts"] == {"rows_in": NUM_TEXTS, "rows_ok": NUM_TEXTS, "failed": {}}
    after = _parts(root)
    assert {f"parts/{name}" for name in after} == {part["file"] for part in info["parts"]}
    # nothing that was stored was written a second time
    assert before.items() <= after.items()
    answers = pa.concat_tables([pq.read_table(folder / part["file"]) for part in info["parts"]])
    assert pc.count_distinct(answers["text_id"]).as_py() == NUM_TEXTS
    assert pc.all(pc.greater(pc.utf8_length(answers["raw"]), 0)).as_py()
    record(
        Figures(
            "the machine of an engine dies",
            f"{stored} of {NUM_TEXTS} texts stored",
            "an engine starts on another machine; what was stored is not written again",
            NUM_TEXTS,
            None,
            seconds,
        )
    )


def _parts(root: Path) -> dict[str, int]:
    """When each part file of the answers was written."""
    return {f.name: f.stat().st_mtime_ns for f in root.glob("artifacts/answers/*/parts/*.parquet")}
