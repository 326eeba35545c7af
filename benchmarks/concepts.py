"""CCLI-R at the size of ImageNet's few-shot benchmark: its fits, and its predictions of ImageNet's
val images with and without explanations. And its search of the best images of many concepts among
many images, against the product alone, in blocks as large.

Images and texts are drawn at random around a direction per class, concepts around sums of some.
"""

import time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.matching import unit_rows
from benchmarks.memory import forget_peak, peak_bytes, resident_bytes
from benchmarks.record import parser, record, say_table
from gist_ray.methods import METHODS
from gist_ray.methods.base.best_images import BLOCK_BYTES, best_images
from gist_ray.methods.base.problem import Problem, Split, TextSet

BLOCK_ROWS = 32_768
"""Rows of a block of predictions, 64 MiB of 512 numbers."""


SHOWN = ("fit_s", "fit_cpu_s", "fit_gib", "predict_s", "explain_s")


def split(per_class: int, centres: np.ndarray, rng: np.random.Generator) -> Split:
    """Images whose cosine with the direction of their class is about 0.2."""
    labels = np.repeat(np.arange(len(centres)), per_class)
    features = centres[labels] + 5 * unit_rows(len(labels), centres.shape[1], rng)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return Split(pa.array(map(str, range(len(labels)))), features.astype(np.float32), labels)


def made(sizes: Any) -> tuple[Problem, Split]:
    rng = np.random.default_rng(0)
    centres = unit_rows(sizes.classes, sizes.dim, rng)
    train, val, texts, test = (
        split(per_class, centres, rng)
        for per_class in (sizes.shots, 4, 10, sizes.test // sizes.classes)
    )
    chosen = rng.integers(sizes.classes, size=(sizes.concepts, 5))
    concepts = centres[chosen].mean(axis=1) + 0.2 * unit_rows(sizes.concepts, sizes.dim, rng)
    concepts /= np.linalg.norm(concepts, axis=1, keepdims=True)
    sets = {
        "class": TextSet([""] * len(texts.labels), texts.features, texts.labels),
        "concepts": TextSet(
            [f"concept {number}" for number in range(sizes.concepts)],
            concepts.astype(np.float32),
            np.full(sizes.concepts, -1),
        ),
    }
    return Problem(train, val, sizes.classes, 100.0, 0, sets), test


def measure_fit(sizes: Any) -> dict[str, dict[str, float]]:
    """Seconds, CPU seconds of the fit, which tell more on a machine that does other things, and
    memory beyond the features."""
    problem, test = made(sizes)
    found = {}
    for method in (METHODS[name] for name in sizes.forms):
        forget_peak()
        before = resident_bytes()
        start, start_cpu = time.perf_counter(), time.process_time()
        classifier: Any = method.fit(problem, method.config())
        fit_s, fit_cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
        memory = max(0, peak_bytes() - before)
        blocks = [slice(at, at + BLOCK_ROWS) for at in range(0, len(test.labels), BLOCK_ROWS)]
        start = time.perf_counter()
        predicted = [classifier.logits(test.features[rows]).argmax(axis=1) for rows in blocks]
        predict_s = time.perf_counter() - start
        for rows, labels in zip(blocks, predicted, strict=True):
            classifier.explain(test.features[rows], labels)
        found[method.label] = {
            "fit_s": fit_s,
            "fit_cpu_s": fit_cpu_s,
            "fit_gib": memory / 2**30,
            "predict_s": predict_s,
            "explain_s": time.perf_counter() - start - predict_s,
            "num_concepts": len(classifier.concepts),
            "accuracy": float((np.concatenate(predicted) == test.labels).mean()),
        }
    return found


def measure_search(sizes: Any) -> dict[str, float]:
    """Seconds of the search and of the product in as large blocks, and memory of the search."""
    rng = np.random.default_rng(1)
    images = unit_rows(sizes.many_images, sizes.dim, rng)
    concepts = unit_rows(sizes.many_concepts, sizes.dim, rng)
    size = BLOCK_BYTES // (4 * len(concepts))
    start = time.perf_counter()
    for at in range(0, len(images), size):
        concepts @ images[at : at + size].T
    product_s = time.perf_counter() - start
    forget_peak()
    before = resident_bytes()
    start = time.perf_counter()
    best_images(images, concepts, k=16, floor=1.0)
    search_s = time.perf_counter() - start
    memory = max(0, peak_bytes() - before)
    return {"search_s": search_s, "product_s": product_s, "search_gib": memory / 2**30}


def main() -> None:
    sizes = parser(__doc__)
    sizes.add_argument("--classes", type=int, default=1000)
    sizes.add_argument("--shots", type=int, default=16)
    sizes.add_argument("--dim", type=int, default=512)
    sizes.add_argument("--concepts", type=int, default=2000)
    sizes.add_argument("--test", type=int, default=50_000, help="test images")
    sizes.add_argument("--forms", nargs="*", default=["ccli", "ccli_val"])
    sizes.add_argument("--many-concepts", type=int, default=20_000)
    sizes.add_argument("--many-images", type=int, default=1_000_000)
    args = sizes.parse_args()
    fits = measure_fit(args)
    say_table(
        f"{args.classes:,} classes x {args.shots} images x {args.dim}, {args.concepts:,} concepts",
        ["form", "fit, s", "CPU s", "GiB", f"{args.test:,} images, s", "explained, s", "concepts"],
        [
            [
                name,
                *(f"{one[key]:.1f}" for key in SHOWN),
                f"{one['num_concepts']:,}",
            ]
            for name, one in fits.items()
        ],
    )
    search = measure_search(args)
    say_table(
        f"{args.many_concepts:,} concepts x {args.many_images:,} images",
        ["search, s", "product, s", "search, GiB beyond inputs"],
        [[f"{search[key]:.2f}" for key in ("search_s", "product_s", "search_gib")]],
    )
    sizes_of = {**vars(args), "out": None}
    record("concepts", {"sizes": sizes_of, "fits": fits, "search": search}, args.out)


if __name__ == "__main__":
    main()
