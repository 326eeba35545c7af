"""The audit's search for neighbours against comparing every image with every other one, and how
often its witnesses find a planted wrong label.

Both searches are faiss's, by turns, over the same vectors and threads: inverted lists as the audit
uses them, and its exact index. Vectors are drawn around centres, as those of classes are; every
twentieth is a near copy of another, and the table says how many of these the lists find. The exact
search is measured on `--exact-rows` images, and not repeated for `--rows`.

Labels: the pictures of worlds of butterflies, embedded by the shipped CLIP, with a share of the
labels flipped to another class drawn by a seed. Texts are captions drawn from the true attributes
of the species. Precision at the number flipped is the recall there, too.
"""

import random
import tempfile
import time
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.memory import forget_peak, peak_bytes, resident_bytes
from benchmarks.record import parser, record, say_table
from gist_ray.audit import neighbours
from gist_ray.audit.neighbours import near_pairs
from gist_ray.audit.witnesses import best_text, probe
from gist_ray.audit.witnesses.witness import together
from gist_ray.demo.butterflies.captions import rich_caption
from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.species import make_species
from gist_ray.encoders.clip import embed_images, embed_texts, load_clip, to_pixels
from gist_ray.encoders.config import ClipConfig
from gist_ray.images.decode import decode, fetch
from gist_ray.matching.vectors import Vectors, vectors_in_memory
from gist_ray.methods.base.problem import TextSet
from gist_ray.schema import MANIFEST

ROWS_PER_PIECE = 10_000
NUM_CENTRES = 1000
TEXTS_OF_A_FORM = 4
PIXELS = 10**8


def drawn_vectors(num_rows: int, dim: int) -> tuple[Vectors, np.ndarray, np.ndarray]:
    """Vectors, and the rows of copies and of what they are copies of."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((NUM_CENTRES, dim), dtype=np.float32)
    rows = np.empty((num_rows, dim), np.float32)
    for start in range(0, num_rows, ROWS_PER_PIECE):
        piece = rows[start : start + ROWS_PER_PIECE]
        rng.standard_normal(out=piece, dtype=np.float32)
        piece *= 0.7
        piece += centres[rng.integers(0, NUM_CENTRES, len(piece))]
        piece /= np.linalg.norm(piece, axis=1, keepdims=True)
    chosen = rng.choice(num_rows, 2 * (num_rows // 20), replace=False)
    copies, sources = np.split(chosen, 2)
    noise = rng.standard_normal((len(copies), dim), dtype=np.float32)
    rows[copies] = rows[sources] + 0.45 * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    rows[copies] /= np.linalg.norm(rows[copies], axis=1, keepdims=True)
    ids = pa.array([str(n) for n in range(num_rows)])
    # int32 offsets of a column end at 2**31 values, so the table has chunks
    pieces = [
        pa.FixedSizeListArray.from_arrays(pa.array(rows[at : at + ROWS_PER_PIECE].ravel()), dim)
        for at in range(0, num_rows, ROWS_PER_PIECE)
    ]
    table = pa.table({"image_id": ids, "embedding": pa.chunked_array(pieces)})
    return vectors_in_memory(table, "image_id"), copies, sources


def search(num_rows: int, dim: int, *, exact: bool) -> dict[str, float]:
    """Seconds, memory beyond the vectors, and the share of the planted pairs that are found."""
    vectors, copies, sources = drawn_vectors(num_rows, dim)
    neighbours.MOST_EXACT = num_rows if exact else 0
    forget_peak()
    before, start = resident_bytes(), time.perf_counter()
    found = near_pairs(vectors, num_neighbours=5, min_similarity=0.85)
    seconds = time.perf_counter() - start
    known = found.one * num_rows + found.other
    planted = np.minimum(copies, sources) * num_rows + np.maximum(copies, sources)
    return {
        "seconds": seconds,
        "memory_gib": max(0, peak_bytes() - before) / 2**30,
        "found": float(np.isin(planted, known).mean()),
    }


def planted_labels(seed: int, share: float) -> dict[str, float]:
    """Precision at the number of flipped labels, of each witness and together; and cleanlab's
    estimate of that number."""
    world = WorldConfig(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        manifest = write_collection(world, folder)
        vectors, texts, scale = _embedded(world, manifest)
    labels = manifest["label"].to_numpy()
    num_classes, num_images = int(labels.max()) + 1, len(labels)
    rng = np.random.default_rng(seed)
    flipped = rng.choice(num_images, round(share * num_images), replace=False)
    given = labels.copy()
    given[flipped] = (given[flipped] + rng.integers(1, num_classes, len(flipped))) % num_classes
    at = MANIFEST.get_field_index("label")
    rows = manifest.set_column(at, MANIFEST.field("label"), pa.array(given, pa.int32()))
    folds = probe.Folds(num_folds=5, max_images=50_000, seed=seed)
    judged = probe.judge(rows, vectors, num_classes, folds=folds)
    said = {
        "probe": judged.testimony,
        "best text": best_text.judge(
            rows, vectors, texts, num_classes=num_classes, logit_scale=scale
        ),
    }
    is_flipped = np.zeros(num_images, bool)
    is_flipped[flipped] = True

    def precision(witnesses: dict[str, pa.Table]) -> float:
        order = np.argsort(-together(witnesses, rows["image_id"]), kind="stable")
        return float(is_flipped[order[: len(flipped)]].mean())

    found = {name: precision({name: table}) for name, table in said.items()}
    return {
        **found,
        "together": precision(said),
        "num_flipped": len(flipped),
        "num_estimated": judged.num_issues,
    }


def _embedded(world: WorldConfig, manifest: pa.Table) -> tuple[Vectors, TextSet, float]:
    clip = load_clip(ClipConfig())
    transform = to_pixels(clip.preprocess)
    images = [decode(fetch(uri, PIXELS), PIXELS) for uri in manifest["uri"].to_pylist()]
    features = embed_images(clip, np.stack([np.asarray(transform(image)) for image in images]))
    column = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1])
    table = pa.table({"image_id": manifest["image_id"], "embedding": column})
    rng = random.Random(world.seed)
    texts = [
        (rich_caption(attributes, rng), one.label)
        for one in make_species(world)
        for attributes in one.forms.values()
        for _ in range(TEXTS_OF_A_FORM)
    ]
    sentences, labels = [text for text, _ in texts], np.array([label for _, label in texts])
    text_set = TextSet(sentences, embed_texts(clip, sentences), labels)
    return vectors_in_memory(table, "image_id"), text_set, clip.logit_scale


def main() -> None:
    sizes = parser(__doc__)
    sizes.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    sizes.add_argument("--exact-rows", type=int, default=100_000)
    sizes.add_argument("--dim", type=int, default=512)
    sizes.add_argument("--worlds", type=int, nargs="*", default=[2025, 2026, 2027])
    sizes.add_argument("--share", type=float, default=0.05, help="of the labels that are flipped")
    args = sizes.parse_args()
    found: dict[str, Any] = {}
    if args.rows:
        found["exact"] = search(args.exact_rows, args.dim, exact=True)
        found["lists"] = {rows: search(rows, args.dim, exact=False) for rows in args.rows}
        rows = [(args.exact_rows, "exact", found["exact"])]
        rows += [(number, "lists", one) for number, one in found["lists"].items()]
        say_table(
            f"neighbours of vectors of {args.dim}",
            ["images", "search", "s", "memory beyond", "planted pairs found"],
            [
                [
                    f"{number:,}",
                    kind,
                    f"{one['seconds']:.1f}",
                    f"{one['memory_gib']:.2f} GiB",
                    f"{one['found']:.4f}",
                ]
                for number, kind, one in rows
            ],
        )
        if args.exact_rows in found["lists"]:
            ratio = found["exact"]["seconds"] / found["lists"][args.exact_rows]["seconds"]
            found["ratio"] = ratio
            print(f"exact / lists at {args.exact_rows:,} images: {ratio:.1f}")
    if args.worlds:
        found["labels"] = {seed: planted_labels(seed, args.share) for seed in args.worlds}
        columns = list(next(iter(found["labels"].values())))
        say_table(
            f"{args.share:.0%} of the labels flipped: precision and recall at the number flipped",
            ["world", *columns],
            [
                [str(seed), *(f"{one[name]:.3g}" for name in columns)]
                for seed, one in found["labels"].items()
            ],
        )
    record("audit", {"sizes": {**vars(args), "out": None}, **found}, args.out)


if __name__ == "__main__":
    main()
