"""Matching against one grouped BLAS product: per class, its images times its texts, and no more.

Ours also gathers the images of a class where the data set does not keep them together, chooses the
k best texts of each by the tie rule, and writes them down. Both have the same arrays, the same BLAS
and all CPUs, by turns. Matching runs on CPUs only; there is no CUDA branch.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.memory import forget_peak, peak_bytes, resident_bytes
from benchmarks.record import parser, record, say_table, spread
from gist_ray.matching.groups import LabelledFeatures
from gist_ray.matching.topk import match_topk

ORDERS = ("class by class", "shuffled")


def unit_rows(num_rows: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Random directions, (num_rows, dim) float32."""
    rows = np.empty((num_rows, dim), np.float32)
    for start in range(0, num_rows, 10_000):
        piece = rows[start : start + 10_000]
        rng.standard_normal(out=piece, dtype=np.float32)
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
    return rows


def grouped_product(images: np.ndarray, texts: np.ndarray, num_classes: int) -> None:
    """images: (num_images, dim) class by class, texts: (num_texts, dim) likewise."""
    per_class, texts_each = len(images) // num_classes, len(texts) // num_classes
    out = np.empty((per_class, texts_each), np.float32)
    for label in range(num_classes):
        own_images = images[label * per_class : (label + 1) * per_class]
        own_texts = texts[label * texts_each : (label + 1) * texts_each]
        np.matmul(own_images, own_texts.T, out=out)


def measure(
    num_images: int, num_classes: int, texts_each: int, dim: int, k: int, rounds: int
) -> dict[str, Any]:
    """Seconds of both and their ratio for each order of the images, and the memory of ours."""
    rng = np.random.default_rng(0)
    num_images -= num_images % num_classes
    images = unit_rows(num_images, dim, rng)
    texts = unit_rows(num_classes * texts_each, dim, rng)
    labelled_texts = LabelledFeatures(texts, np.repeat(np.arange(num_classes), texts_each))
    in_order = np.repeat(np.arange(num_classes), num_images // num_classes)
    labels = {ORDERS[0]: in_order, ORDERS[1]: rng.permutation(in_order)}
    found: dict[str, Any] = {"input_gib": (images.nbytes + texts.nbytes) / 2**30}
    for order in ORDERS:

        def ours(of_images: np.ndarray = labels[order]) -> None:
            match_topk(LabelledFeatures(images, of_images), labelled_texts, k)

        def bare() -> None:
            grouped_product(images, texts, num_classes)

        bare()
        forget_peak()
        before = resident_bytes()
        ours()
        memory = max(0, peak_bytes() - before)  # the kernel counts pages a little late
        pairs = [(_seconds(bare), _seconds(ours)) for _ in range(rounds)]
        found[order] = {
            "bare_s": spread([bare_s for bare_s, _ in pairs]),
            "ours_s": spread([ours_s for _, ours_s in pairs]),
            "ratio": spread([bare_s / ours_s for bare_s, ours_s in pairs]),
            "memory_gib": memory / 2**30,
        }
    return found


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    sizes = parser(__doc__)
    sizes.add_argument("--images", type=int, default=1_000_000)
    sizes.add_argument("--classes", type=int, default=200)
    sizes.add_argument("--texts", type=int, default=50, help="texts of each class")
    sizes.add_argument("--dim", type=int, default=512)
    sizes.add_argument("--k", type=int, default=3)
    sizes.add_argument("--rounds", type=int, default=7)
    args = sizes.parse_args()
    found = measure(args.images, args.classes, args.texts, args.dim, args.k, args.rounds)
    say_table(
        f"{args.images:,} images x {args.classes} classes x {args.texts} texts x {args.dim}",
        ["images", "product, s", "matching, s", "ratio [least, most]", "memory beyond inputs"],
        [
            [
                order,
                f"{found[order]['bare_s']['median']:.2f}",
                f"{found[order]['ours_s']['median']:.2f}",
                "{median:.2f} [{min:.2f}, {max:.2f}]".format(**found[order]["ratio"]),
                f"{found[order]['memory_gib']:.2f} GiB",
            ]
            for order in ORDERS
        ],
    )
    record("matching", {"sizes": {**vars(args), "out": None}, **found}, args.out)


if __name__ == "__main__":
    main()
