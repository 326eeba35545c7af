"""The line that every benchmark leaves: its numbers, and when, on what machine, of which commit."""

import argparse
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from gist_ray.store.artifacts import package_versions

REPOSITORY = Path(__file__).parents[1]


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with what all benchmarks share: --out."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    made.add_argument("--out", metavar="FILE", help="append the result to FILE as a line of JSON")
    return made


def record(benchmark: str, numbers: Mapping[str, Any], out: str | None) -> None:
    """Append one JSON line to `out`; print it where there is no `out`."""
    line = json.dumps({"benchmark": benchmark, **where_and_when(), **numbers})
    if out is None:
        print(line)
        return
    with open(out, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def where_and_when() -> dict[str, Any]:
    """Date, commit, machine and versions."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "versions": package_versions(),
    }


def commit() -> str:
    """The commit that is checked out, with a + where the files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "gist_ray", "benchmarks")
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def machine() -> dict[str, Any]:
    """CPU model, CPUs this process may use, memory, GPU (null where there is none)."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def say_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left")
    for at, column in enumerate(columns):
        table.add_column(column, justify="right" if at else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
