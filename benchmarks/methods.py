"""Every method's fit on as many images as ImageNet's few-shot benchmark has, and its predictions of
ImageNet's val images, beside the bare arithmetic where another library has it.

Features are drawn at random around a direction per class. Every method runs in a process of its
own with all CPUs, and is given up after --limit-s seconds.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.matching import unit_rows
from benchmarks.memory import forget_peak, peak_bytes, resident_bytes
from benchmarks.record import parser, record, say_table
from gist_ray.methods import METHODS
from gist_ray.methods.base.problem import Problem, Split, TextSet

LOGIT_SCALE = 100.0
BLOCK = 4096


def split(per_class: int, centres: np.ndarray, rng: np.random.Generator) -> Split:
    """Images whose cosine with the direction of their class is about 0.2."""
    labels = np.repeat(np.arange(len(centres)), per_class)
    features = centres[labels] + 5.0 * unit_rows(len(labels), centres.shape[1], rng)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    ids = pa.array([str(number) for number in range(len(labels))])
    return Split(ids, features.astype(np.float32), labels)


def made(sizes: Any) -> tuple[Problem, Split]:
    """The problem, with the texts of "class" in every class, one name each, concepts; the
    test images."""
    rng = np.random.default_rng(0)
    centres = unit_rows(sizes.classes, sizes.dim, rng)
    train, val, texts, names, test = (
        split(per_class, centres, rng)
        for per_class in (sizes.shots, 4, sizes.texts, 1, sizes.test // sizes.classes)
    )
    sets = {
        name: TextSet([""] * len(one.labels), one.features, one.labels)
        for name, one in (("class", texts), ("names", names))
    }
    concepts = unit_rows(2 * sizes.classes, sizes.dim, rng)
    phrases = [f"concept {number}" for number in range(len(concepts))]
    sets["concepts"] = TextSet(phrases, concepts, np.full(len(concepts), -1))
    return Problem(train, val, sizes.classes, LOGIT_SCALE, 0, sets), test


def discriminant(problem: Problem) -> Any:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.03)
    return model.fit(problem.train.features, problem.train.labels).decision_function


def logistic_regression(problem: Problem) -> Any:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0, max_iter=1000)
    return model.fit(10 * problem.train.features, problem.train.labels).decision_function


def tip_arithmetic(problem: Problem) -> Any:
    """The reference's, with its dense one-hot values."""
    keys = problem.train.features.T
    values = np.eye(problem.num_classes, dtype=np.float32)[problem.train.labels]
    return lambda images: np.exp(-(1.0 - images @ keys)) @ values


BARE: dict[str, Callable[[Problem], Any]] = {
    "scikit-learn LinearDiscriminantAnalysis": discriminant,
    "scikit-learn LogisticRegression, C = 1": logistic_regression,
    "Tip-Adapter's arithmetic in numpy": tip_arithmetic,
}


def measure(name: str, sizes: Any) -> dict[str, float]:
    """Seconds of the fit and of the test images' logits, CPU seconds of the fit, which tell more on
    a machine that does other things, and the memory of both beyond the features."""
    problem, test = made(sizes)
    forget_peak()
    before = resident_bytes()
    start, start_cpu = time.perf_counter(), time.process_time()
    if name in BARE:
        logits = BARE[name](problem)
    else:
        logits = METHODS[name].fit(problem, METHODS[name].config()).logits
    fit_s, fit_cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    num_right = 0
    for at in range(0, len(test.labels), BLOCK):
        found = logits(test.features[at : at + BLOCK]).argmax(axis=1)
        num_right += int((found == test.labels[at : at + BLOCK]).sum())
    predict_s = time.perf_counter() - start - fit_s
    return {
        "fit_s": fit_s,
        "fit_cpu_s": fit_cpu_s,
        "predict_s": predict_s,
        "memory_gib": max(0, peak_bytes() - before) / 2**30,
        "accuracy": num_right / len(test.labels),
    }


def in_a_process(name: str, words: list[str], limit_s: float) -> dict[str, float] | None:
    """What `measure` finds, None where it takes longer than the limit."""
    command = [sys.executable, "-m", "benchmarks.methods", "--one", name, *words]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=limit_s, check=True)
    except subprocess.TimeoutExpired:
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    sizes = parser(__doc__)
    sizes.add_argument("--classes", type=int, default=1000)
    sizes.add_argument("--shots", type=int, default=16)
    sizes.add_argument("--texts", type=int, default=16, help="texts of each class")
    sizes.add_argument("--dim", type=int, default=512)
    sizes.add_argument("--test", type=int, default=50_000, help="test images")
    sizes.add_argument("--limit-s", type=float, default=300, help="seconds given to a method")
    sizes.add_argument("--methods", nargs="*", default=[*METHODS, *BARE])
    sizes.add_argument("--one", help="measure one, and print it as JSON")
    args = sizes.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args)))
        return
    words = [
        word
        for name in ("classes", "shots", "texts", "dim", "test")
        for word in (f"--{name}", str(getattr(args, name)))
    ]
    found = {}
    for name in args.methods:
        found[name] = in_a_process(name, words, args.limit_s)
        print(name, json.dumps(found[name]), flush=True)
    say_table(
        f"{args.classes:,} classes x {args.shots} images, {args.texts} texts each x {args.dim}",
        ["method", "fit, s", "fit, CPU s", f"{args.test:,} images, s", "memory, GiB"],
        [
            [name, f"over {args.limit_s:.0f}", "", "", ""]
            if one is None
            else [
                METHODS[name].label if name in METHODS else name,
                f"{one['fit_s']:.1f}",
                f"{one['fit_cpu_s']:.1f}",
                f"{one['predict_s']:.1f}",
                f"{one['memory_gib']:.2f}",
            ]
            for name, one in found.items()
        ],
    )
    record("methods", {"sizes": {**vars(args), "out": None}, "methods": found}, args.out)


if __name__ == "__main__":
    main()
