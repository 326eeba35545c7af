"""The second run, all stored, of a large manifest: how long, and where the seconds go.

`--folder` is filled first, where it is not yet: vectors and trainings by stand-ins (stand_ins.py),
all the rest by the product's own stages. Then `gist-ray run` is started as a process of its own.
"""

import argparse
import contextlib
import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.record import REPOSITORY, parser, record, say_table, spread

STEPS = {
    "gist_ray.study.data.ingest": "read the manifest",
    "gist_ray.study.job.plan": "plan, reading the manifest included",
    "gist_ray.run.run_job.print_plan": "print the plan",
    "gist_ray.run.run_job.run_flow": "find what is stored",
    "gist_ray.study.results.compare_features": "compare features",
    "gist_ray.study.results.render": "render the report",
    "gist_ray.study.job.write_results": "results, comparison and report included",
}
"""Functions, as the modules that call them name them, and what they do."""


def overrides(folder: Path) -> list[str]:
    return [
        "name=second_run",
        f"root={folder}/store",
        "data=manifest",
        f"data.path={folder}/manifest.parquet",
        f"texts.import_from={folder}/texts.json",
        "prompts=butterflies",
        # probes that end early: what they reach is not the question here
        "methods.linear_probe.max_iter=20",
        "methods.linear_probe.num_search_steps=1",
    ]


def first_run(folder: Path, num_images: int, num_classes: int, texts_each: int, dim: int) -> None:
    """Fill `folder` with a data set and a store in which nothing is missing."""
    from benchmarks.stand_ins import write_data, write_stand_ins
    from gist_ray.run.cluster import cpus_without_connecting
    from gist_ray.run.flow import run_flow
    from gist_ray.run.progress import Progress
    from gist_ray.run.stage import in_order
    from gist_ray.settings.check import build
    from gist_ray.settings.commandline import compose_values
    from gist_ray.store.artifacts import ArtifactStore
    from gist_ray.study.config import RunConfig
    from gist_ray.study.job import plan

    write_data(folder, num_images, num_classes, texts_each)
    config = build(RunConfig, compose_values("config", overrides(folder)))
    store = ArtifactStore(config.root)
    graph = plan(config, store)
    before = in_order(stage for stage in graph.stages if stage.kind in ("texts", "shots"))
    # No stage that is left needs Ray.
    run = partial(run_flow, num_cpus=cpus_without_connecting(), max_failed_fraction=0.0)
    run(before, store, Progress())
    write_stand_ins(graph, store, dim)
    run(graph.stages, store, Progress())
    (folder / "ready").touch()


def second_run(folder: Path) -> tuple[float, float]:
    """Seconds of the command as its user sees them, and of the CPUs."""
    command = [sys.executable, "jobs/run.py", *overrides(folder)]
    start, cpu_start = time.perf_counter(), _cpu_seconds()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    seconds = time.perf_counter() - start, _cpu_seconds() - cpu_start
    if done.returncode or "starts" in done.stdout:
        raise SystemExit(f"the second run is none:\n{done.stdout}\n{done.stderr}")
    return seconds


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def steps(folder: Path) -> dict[str, float]:
    """Seconds of each of STEPS in one more run, and its peak memory, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.second_run", f"--folder={folder}", "--steps"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_with_steps(folder: Path) -> dict[str, float]:
    """The work of the process that `steps` starts."""
    start = time.perf_counter()
    import gist_ray.run.run_job
    import gist_ray.study.data
    import gist_ray.study.job
    import gist_ray.study.results
    from benchmarks.memory import peak_bytes
    from gist_ray.settings.check import build
    from gist_ray.settings.commandline import compose_values
    from gist_ray.study.config import RunConfig

    seconds = {"import": time.perf_counter() - start}
    start = time.perf_counter()
    config = build(RunConfig, compose_values("config", overrides(folder)))
    seconds["compose and check the config"] = time.perf_counter() - start
    with contextlib.ExitStack() as watched:
        for place, what in STEPS.items():
            module, name = place.rsplit(".", 1)
            call = _timed(getattr(sys.modules[module], name), what, seconds)
            watched.enter_context(mock.patch(place, call))
        watched.enter_context(contextlib.redirect_stdout(io.StringIO()))
        gist_ray.run.run_job.run_job(gist_ray.study.job.study_job(config))
    return {**seconds, "peak memory, GiB": peak_bytes() / 2**30}


def _timed(call: Callable[..., Any], what: str, seconds: dict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            seconds[what] = seconds.get(what, 0.0) + time.perf_counter() - start

    return timed


def main() -> None:
    sizes = parser(__doc__)
    sizes.add_argument("--folder", type=Path, required=True, help="for the store; kept")
    sizes.add_argument("--images", type=int, default=1_000_000)
    sizes.add_argument("--classes", type=int, default=200)
    sizes.add_argument("--texts", type=int, default=50, help="texts of each class")
    sizes.add_argument("--dim", type=int, default=512)
    sizes.add_argument("--rounds", type=int, default=3)
    sizes.add_argument("--steps", action="store_true", help=argparse.SUPPRESS)
    args = sizes.parse_args()
    folder: Path = args.folder.absolute()
    if args.steps:
        print(json.dumps(run_with_steps(folder)))
        return
    if not (folder / "ready").exists():
        first_run(folder, args.images, args.classes, args.texts, args.dim)
    runs = [second_run(folder) for _ in range(args.rounds)]
    found = {
        "seconds": spread([seconds for seconds, _ in runs]),
        "cpu_seconds": spread([seconds for _, seconds in runs]),
        "steps": steps(folder),
    }
    say_table(
        f"second run, {args.images:,} images, all stored",
        ["", "seconds"],
        [
            [
                "the command, as its user sees it",
                "{median:.1f} [{min:.1f}, {max:.1f}]".format(**found["seconds"]),
            ],
            *([step, f"{value:.2f}"] for step, value in found["steps"].items()),
        ],
    )
    record("second_run", {"sizes": {**vars(args), "folder": "", "out": None}, **found}, args.out)


if __name__ == "__main__":
    main()
