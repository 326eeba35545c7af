"""From the start of `gist-ray run` to the first stored row: where each second goes.

Two runs on data of a few hundred rows: images embedded, and texts generated. Of the driver the
steps are clocked (`benchmarks.clocked_pipeline`), of Ray's processes it is watched when they start
and what they say they do, every 50 ms. What an import consists of comes from -X importtime, in
processes of their own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.embedding import draw_pictures
from benchmarks.record import REPOSITORY, parser, record, say_table
from gist_ray.store.parts import PARTS

WATCH_S = 0.05
LIMIT_S = 600
WATCHED = {
    "WarmProcess.__init__": "warm worker: torch, open_clip imported",
    "WarmProcess.iterate": "warm worker: works",
    "vLLMEngineStageUDF)).__init__": "engine's actor: vLLM imported, engine started",
    "VLLM::EngineCore": "engine: its process",
    "vLLMEngineStageUDF)).submit": "engine's actor: works",
    "MapBatches(_Writer)": "part files written",
}
"""{words in a process's title: what it does meanwhile}"""

IMPORTS = {
    "driver": "gist_ray.run.run_job, gist_ray.study.job",
    "warm worker": "torch, open_clip",
    "engine's actor": "vllm, ray.data.llm",
}


@dataclass(frozen=True)
class Span:
    """Seconds since the run's process was started."""

    what: str
    start: float
    end: float


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    found: dict[str, Any] = {}
    for case in arguments.cases:
        with tempfile.TemporaryDirectory() as folder:
            spans, first_row = watch(_words(case, Path(folder)), Path(folder))
        rows = [[span.what, f"{span.start:.1f}", f"{span.end - span.start:.1f}"] for span in spans]
        rows.append(["first row stored", f"{first_row:.1f}", ""])
        say_table(f"Start-up: {case}", ("", "at, s", "took, s"), rows)
        found[case] = {"first_row_s": first_row, "spans": [vars(span) for span in spans]}
    imports = {name: _imports(modules) for name, modules in IMPORTS.items()}
    for name, packages in imports.items():
        words = [f"{package} {seconds:.1f} s" for package, seconds in packages.items()]
        print(f"imports, {name}: {', '.join(words)}")
    record("startup", {**found, "imports": imports}, arguments.out)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    cases = ("embed images", "generate")
    options.add_argument("--cases", nargs="*", choices=cases, default=cases)
    return options.parse_args(words)


def _words(case: str, folder: Path) -> list[str]:
    """The command line of a run that ends with what `case` names."""
    root = f"root={folder / 'root'}"
    if case == "generate":
        return [root, "--until", case, "prompts.samples_per_prompt=1", "llm.texts_per_file=32"]
    for name in ("black", "white"):
        (folder / "data" / name).mkdir(parents=True)
        draw_pictures(folder / "data" / name, 64)
    data = ["data=image_folder", f"data.path={folder / 'data'}", "prompts=generic"]
    return [
        root,
        "--until",
        f"{case} frozen",
        *data,
        "embed.rows_per_part=32",
        "embed.batch_size=32",
    ]


def watch(words: list[str], folder: Path) -> tuple[list[Span], float]:
    """The steps of a run until its first row was stored, in order, and when that was."""
    clock, log = folder / "clock", folder / "log"
    start = time.time()
    with open(log, "w") as out:
        command = [sys.executable, str(REPOSITORY / "benchmarks" / "clocked_pipeline.py"), *words]
        paths = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get("PYTHONPATH"))))
        run = subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            cwd=REPOSITORY,
            env={**os.environ, "CLOCK_FILE": str(clock), "PYTHONPATH": paths},
        )
    seen = _watch_processes(run)
    if run.returncode:
        raise RuntimeError(f"the run ended with exit code {run.returncode}:\n{log.read_text()}")
    lines = [json.loads(line) for line in clock.read_text().splitlines()]
    begun = {line["what"] for line in lines if not line["what"].endswith(", begins")}
    spans = [
        Span(line["what"], line["start"] - start, line["end"] - start)
        for line in lines
        if line["what"].removesuffix(", begins") not in begun or line["what"] in begun
    ]
    spans += [Span(what, first - start, last - start) for what, (first, last) in seen.items()]
    parts = (folder / "root").glob(f"artifacts/*/*/{PARTS}/*.parquet")
    stored = [part.stat().st_mtime for part in parts if "pictures" not in part.parts]
    first_row = min(stored) - start
    before = [span for span in spans if span.start < first_row]
    return sorted(before, key=lambda span: (span.start, -span.end)), first_row


def _watch_processes(run: subprocess.Popen[bytes]) -> dict[str, tuple[float, float]]:
    """{what a process below `run` did: (when it was first seen to, when last)}, until it ends."""
    seen: dict[str, tuple[float, float]] = {}
    root, limit = psutil.Process(run.pid), time.time() + LIMIT_S
    try:
        while run.poll() is None and time.time() < limit:
            for process in _children(root):
                _note(process, seen)
            time.sleep(WATCH_S)
    finally:
        run.kill()
        run.wait()
    return seen


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _note(process: psutil.Process, seen: dict[str, tuple[float, float]]) -> None:
    try:
        title, born = " ".join(process.cmdline()), process.create_time()
    except psutil.Error:
        return
    now = time.time()
    for words, what in WATCHED.items():
        if words in title:
            name = f"{what.split(':')[0]}: process started, before its work"
            if title.startswith("ray::") and what not in seen and "__init__" in words:
                seen[name] = (born, now)
            first, _ = seen.get(what, (now, now))
            seen[what] = (first, now)


def _imports(modules: str, most: int = 8) -> dict[str, float]:
    """{top-level package: seconds of its own modules}, the largest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {modules}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    seconds: dict[str, float] = defaultdict(float)
    for line in done.stderr.splitlines():
        cells = line.removeprefix("import time:").split("|")
        if line.startswith("import time:") and cells[0].strip().isdigit():
            seconds[cells[2].strip().split(".")[0]] += int(cells[0]) / 1e6
    largest = sorted(seconds, key=lambda package: -seconds[package])
    shown = {package: round(seconds[package], 2) for package in largest[:most]}
    return shown | {"all": round(sum(seconds.values()), 2)}


if __name__ == "__main__":
    main()
