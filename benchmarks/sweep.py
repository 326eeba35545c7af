"""A sweep of k, shots and seeds against as many separate runs: seconds, and their ratio.

Every trial and every run trains once on the embedded set and is measured on test, with ready-made
texts. The separate runs, `gist-ray run` one after the other with a store each, are timed a
second time where --also-shared is given: with one store for all, where what an earlier run has made
is found. --alone N times N of the separate runs, drawn at random; their mean stands for the rest.
"""

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.record import REPOSITORY, parser, record, say_table

K, SHOTS, SEEDS = (1, 2, 3, 5, 10), (1, 3, 5), (1, 2, 3)

SWEEP = """\
# @package _global_
sweep:
  measure: test
  space: {space}
"""


def main() -> None:
    arguments = _arguments()
    points = list(
        itertools.product(K[: arguments.k], SHOTS[: arguments.shots], SEEDS[: arguments.seeds])
    )
    with tempfile.TemporaryDirectory(prefix="gist-ray-sweep-") as temporary:
        folder = Path(temporary)
        texts = folder / "texts.json"
        texts.write_text(json.dumps(_texts()))
        words = [
            f"texts.import_from={texts}",
            "study.trainings=[gist]",
            f"finetune.num_steps={arguments.steps}",
        ]
        swept = _sweep(folder, words, arguments)
        print(f"made by the sweep: {dict(_made(folder / 'swept'))}", flush=True)
        timed = random.Random(0).sample(points, arguments.alone or len(points))
        alone = [_run(folder / f"alone{i}", words, point) for i, point in enumerate(timed)]
        shared = []
        if arguments.also_shared:
            shared = [_run(folder / "shared", words, point) for point in points]
        made = _made(folder / "swept")
        apart = sum((_made(folder / f"alone{i}") for i in range(len(timed))), Counter())
    separate, on_one_store = len(points) / len(timed) * sum(alone), sum(shared)
    numbers = {
        "trials": len(points),
        "steps": arguments.steps,
        "sweep_s": round(swept, 1),
        "separate_s": round(separate, 1),
        "separate_each_s": [round(seconds, 1) for seconds in alone],
        "separate_on_one_store_s": round(on_one_store, 1) or None,
        "ratio": round(swept / separate, 3),
        "ratio_on_one_store": round(swept / on_one_store, 3) if shared else None,
        "artifacts_of_sweep": dict(made),
        "artifacts_of_separate_runs": dict(apart),
    }
    of = "" if len(timed) == len(points) else f", from {len(timed)} of them"
    rows = [
        ["the sweep", f"{swept:.0f}", "1.00"],
        [f"separate runs{of}", f"{separate:.0f}", f"{swept / separate:.2f}"],
    ]
    if shared:
        ratio = f"{swept / on_one_store:.2f}"
        rows.append(["separate runs on one store", f"{on_one_store:.0f}", ratio])
    say_table(f"{len(points)} trainings", ["", "seconds", "the sweep's share"], rows)
    record("sweep", numbers, arguments.out)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--k", type=int, default=3, help=f"how many of {K}")
    made.add_argument("--shots", type=int, default=1, help=f"how many of {SHOTS}")
    made.add_argument("--seeds", type=int, default=3, help=f"how many of {SEEDS}")
    made.add_argument("--steps", type=int, default=100, help="of each training")
    made.add_argument("--whole", action="store_true", help="all 5 x 3 x 3")
    made.add_argument("--alone", type=int, metavar="N", help="time N of the separate runs")
    made.add_argument("--also-shared", action="store_true", help="separate runs on one store too")
    arguments = made.parse_args()
    if arguments.whole:
        arguments.k, arguments.shots, arguments.seeds = len(K), len(SHOTS), len(SEEDS)
    return arguments


def _texts() -> dict[str, list[str]]:
    """A sentence for each choice of two or more field notes on each form of a species of the
    embedded set."""
    from gist_ray.demo.butterflies.config import WorldConfig
    from gist_ray.demo.butterflies.notes import field_notes
    from gist_ray.demo.butterflies.species import make_species

    return {
        name: [
            f"The {form} has " + ", ".join(f"{fact} {value}" for fact, value in chosen)
            for form, facts in forms.items()
            for number in range(2, len(facts) + 1)
            for chosen in itertools.combinations(facts.items(), number)
        ]
        for name, forms in field_notes(make_species(WorldConfig())).items()
    }


def _sweep(folder: Path, words: list[str], arguments: argparse.Namespace) -> float:
    space = {
        "matching.k": list(K[: arguments.k]),
        "study.shots": list(SHOTS[: arguments.shots]),
        "study.seeds": list(SEEDS[: arguments.seeds]),
    }
    file = folder / "config" / "sweep" / "grid.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SWEEP.format(space=json.dumps(space)))
    own = ["--config-dir", str(folder / "config"), "sweep=grid"]
    return _seconds("sweep.py", [*own, "name=swept", f"root={folder / 'swept'}", *words])


def _run(root: Path, words: list[str], point: tuple[int, int, int]) -> float:
    k, shots, seed = point
    axes = [f"matching.k={k}", f"study.shots=[{shots}]", f"study.seeds=[{seed}]"]
    name = f"name=k{k}-shots{shots}-seed{seed}"
    return _seconds("run.py", [name, f"root={root}", *words, *axes])


def _seconds(job: str, words: list[str]) -> float:
    start = time.monotonic()
    command = [sys.executable, str(REPOSITORY / "jobs" / job), *words]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - start
    print(f"{seconds:6.1f} s  {job} {words[0]}", flush=True)
    return seconds


def _made(root: Path) -> Counter[str]:
    """How many artifacts of every kind there are."""
    return Counter(file.parents[1].name for file in root.glob("artifacts/*/*/artifact.json"))


if __name__ == "__main__":
    main()
