"""`gist-ray run` with a clock around the steps of its start; serves `benchmarks.startup`.

Appends {"what", "start", "end"} lines (seconds since the epoch) to the file that the environment
names in CLOCK_FILE. What it clocks are the functions that the pipeline calls anyway.
"""

import time

STARTED = time.time()  # before any import that counts

import functools  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import runpy  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

STEPS = {
    "gist_ray.settings.commandline.compose_values": "config: Hydra composes",
    "gist_ray.settings.check.build": "config: checked",
    "gist_ray.study.job.plan": "plan",
    "gist_ray.study.data.ingest": "plan: manifest",
    "gist_ray.study.graph.clip_identity": "plan: hash of the CLIP's weights",
    "gist_ray.run.run_job.connect": "Ray starts",
    "gist_ray.encoders.stage.facts_of": "driver: CLIP loaded, for its sizes",
    "gist_ray.llm.generate.model_source": "driver: language model found or converted",
    "gist_ray.encoders.stage.run_rows": "rows embedded",
    "gist_ray.llm.generate.run_rows": "rows generated",
}
"""{where a step is called from: what it is}"""


def note(what: str, start: float, end: float) -> None:
    with open(os.environ["CLOCK_FILE"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"what": what, "start": start, "end": end}) + "\n")


def clocked(name: str, what: str) -> None:
    module_name, _, attribute = name.rpartition(".")
    module = importlib.import_module(module_name)
    inner = getattr(module, attribute)

    @functools.wraps(inner)
    def outer(*args: object, **kwargs: object) -> object:
        start = time.time()
        note(f"{what}, begins", start, start)
        try:
            return inner(*args, **kwargs)
        finally:
            note(what, start, time.time())

    setattr(module, attribute, outer)


def main() -> None:
    note("interpreter", STARTED, STARTED)
    for what, module in (
        ("imports: command line, config (Hydra, pydantic)", "gist_ray.settings.commandline"),
        ("imports: run (torch, Ray, open_clip)", "gist_ray.study.job"),
    ):
        start = time.time()
        importlib.import_module(module)
        note(what, start, time.time())
    for name, what in STEPS.items():
        clocked(name, what)
    pipeline = Path(__file__).parents[1] / "jobs" / "run.py"
    sys.argv[0] = str(pipeline)
    runpy.run_path(str(pipeline), run_name="__main__")


if __name__ == "__main__":
    main()
