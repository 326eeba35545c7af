"""Seconds per row and peak memory of each stage as its rows grow x1, x4 and x16.

Each measurement is a process of its own, so its peak memory is that of one stage at one size. A run
of a quarter of x1 is what starting costs: its seconds and its rows are taken off the others, so
that seconds per row are those of the steady state. Generation is not among the stages: its rows
are the language model's time, see generation.py.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.growing import STAGES
from benchmarks.memory import WorkerMemory, forget_peak, peak_bytes
from benchmarks.record import REPOSITORY, parser, record, say_table

FACTORS = (1, 4, 16)
ALLOWED_GROWTH = 0.1
MIB = 2**20


def measure(stage: str, rows: int, folder: Path) -> dict[str, float]:
    """Seconds, CPU seconds of this process and MiB of one stage, here and now."""
    prepare, _ = STAGES[stage]
    work = prepare(rows, folder)
    forget_peak()
    with WorkerMemory() as workers:
        start, cpu_start = time.perf_counter(), time.process_time()
        work()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return {
        "rows": rows,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "driver_mib": peak_bytes() / MIB,
        "worker_mib": workers.peak_bytes / MIB,
    }


def measure_apart(stage: str, rows: int, folder: Path) -> dict[str, float]:
    """The same in a process of its own."""
    words = [f"--stage={stage}", f"--rows={rows}", f"--folder={folder}"]
    command = [sys.executable, "-m", "benchmarks.growth", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{stage}, {rows} rows:\n{done.stdout}\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def summarise(start: Mapping[str, float], sizes: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Steady seconds per row at each size, how much more the largest costs than the smallest, and
    how many MiB more it holds."""
    per_row = [
        (size["seconds"] - start["seconds"]) / (size["rows"] - start["rows"]) for size in sizes
    ]
    return {
        "rows": [size["rows"] for size in sizes],
        "start_s": start["seconds"] - start["rows"] * per_row[-1],
        "seconds_per_row": per_row,
        "growth": per_row[-1] / per_row[0] - 1,
        "driver_mib": [size["driver_mib"] for size in sizes],
        "worker_mib": [size["worker_mib"] for size in sizes],
    }


def plot(found: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """A row of two panels per stage: milliseconds per row, and peak memory, against rows."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        len(found), 2, figsize=(8, 2.0 * len(found)), squeeze=False, layout="constrained"
    )
    for (stage, of_stage), (time_panel, memory_panel) in zip(found.items(), panels, strict=True):
        rows = of_stage["rows"]
        time_panel.plot(rows, [1000 * s for s in of_stage["seconds_per_row"]], "o-")
        time_panel.set_ylabel("ms per row")
        memory_panel.plot(rows, of_stage["driver_mib"], "o-", label="driver")
        if any(of_stage["worker_mib"]):
            memory_panel.plot(rows, of_stage["worker_mib"], "s--", label="largest worker")
        memory_panel.set_ylabel("peak MiB")
        memory_panel.legend(frameon=False, fontsize=8)
        for panel in (time_panel, memory_panel):
            panel.set_xscale("log", base=4)
            panel.set_xticks(rows, [f"{number:,}" for number in rows])
            panel.minorticks_off()
            panel.set_ylim(bottom=0)
            panel.set_title(f"{stage}, rows", fontsize=9, loc="left")
            panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    sizes = parser(__doc__)
    sizes.add_argument("--folder", type=Path, required=True, help="for the data; emptied first")
    sizes.add_argument("--figure", type=Path, help="an .svg or .png to draw")
    sizes.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    sizes.add_argument("--scale", type=float, default=1.0, help="times the rows of every stage")
    sizes.add_argument("--rounds", type=int, default=1, help="the fastest counts")
    sizes.add_argument("--stage", help=argparse.SUPPRESS)
    sizes.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    args = sizes.parse_args()
    folder: Path = args.folder.absolute()
    if args.stage:
        print(json.dumps(measure(args.stage, args.rows, folder)))
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = {stage: _grow(stage, folder, args.scale, args.rounds) for stage in args.stages}
    say_table(
        "x1, x4, x16",
        ["stage", "rows", "ms per row", "x16 to x1", "driver, MiB", "worker, MiB", "start, s"],
        [
            [
                stage,
                " ".join(f"{rows:,.0f}" for rows in row["rows"]),
                " ".join(f"{1000 * seconds:.3g}" for seconds in row["seconds_per_row"]),
                f"{row['growth']:+.0%}",
                " ".join(f"{mib:.0f}" for mib in row["driver_mib"]),
                " ".join(f"{mib:.0f}" for mib in row["worker_mib"]),
                f"{row['start_s']:.1f}",
            ]
            for stage, row in found.items()
        ],
    )
    if args.figure:
        plot(found, args.figure)
    record("growth", {"scale": args.scale, "rounds": args.rounds, "stages": found}, args.out)


def _grow(stage: str, folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    rows = max(80, int(STAGES[stage][1] * scale))
    if stage in ("embed images", "load pairs") and not (folder / "artifacts/pictures").exists():
        measure_apart("draw pictures", FACTORS[-1] * rows, folder)
    measured = [
        min(
            (_fresh(stage, size, folder) for _ in range(rounds)), key=lambda found: found["seconds"]
        )
        for size in (rows // 4, *(factor * rows for factor in FACTORS))
    ]
    return summarise(measured[0], measured[1:])


def _fresh(stage: str, rows: int, folder: Path) -> dict[str, float]:
    """Measure with nothing stored but the pictures that the stage reads."""
    for kind in (folder / "artifacts").glob("*"):
        if kind.name != "pictures" or stage == "draw pictures":
            shutil.rmtree(kind)
    return measure_apart(stage, rows, folder)


if __name__ == "__main__":
    main()
