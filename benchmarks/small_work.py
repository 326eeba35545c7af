"""A small embedding on Ray Data, in a cold warm worker, and in one that has worked before.

780 drawn pictures by the embedded CLIP, the embedding of the embedded data set, by turns, from
the call of the stage until its last row is stored. Ray runs already and the driver knows the model.
The difference between Ray Data and the worker that has worked before is what Ray Data's processes
take to start: START_S in gist_ray/run/placement.py.
"""

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.record import parser, record, say_table, spread
from gist_ray.demo.butterflies.corpus import corpus_pairs, corpus_rows
from gist_ray.demo.butterflies.pictures import write_pictures
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.encoders.loaded import Source, facts_of
from gist_ray.encoders.stage import embed_image_rows
from gist_ray.run.cluster import connect
from gist_ray.run.progress import Progress
from gist_ray.run.warm import warm_workers
from gist_ray.store.artifacts import ArtifactStore

ON_RAY_DATA, COLD, WARM = "Ray Data", "warm worker, started for it", "warm worker, used before"

CLIP = ClipConfig()


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--pictures", type=int, default=780)
    options.add_argument("--rounds", type=int, default=3)
    arguments = options.parse_args(words)
    seconds: dict[str, list[float]] = {ON_RAY_DATA: [], COLD: [], WARM: []}
    with tempfile.TemporaryDirectory() as folder:
        images = _drawn(folder, arguments.pictures)
        connect()
        facts_of(Source.of(CLIP))
        for _ in range(arguments.rounds):
            # several workers asked for are Ray Data's
            seconds[ON_RAY_DATA].append(_embed(images, EmbedConfig(max_workers=2)))
            with warm_workers():
                seconds[COLD].append(_embed(images, EmbedConfig()))
                seconds[WARM].append(_embed(images, EmbedConfig()))
            print({name: round(values[-1], 1) for name, values in seconds.items()}, flush=True)
    found: dict[str, Any] = {"pictures": arguments.pictures}
    rows = []
    for name, values in seconds.items():
        ratios = [value / other for value, other in zip(values, seconds[ON_RAY_DATA], strict=True)]
        found[name] = {"seconds": values, "ratio": spread(ratios)}
        rows.append([name, _cell(values), _cell(ratios)])
    say_table(f"{arguments.pictures} pictures", ("", "seconds", "to Ray Data"), rows)
    starts = [ray - warm for ray, warm in zip(seconds[ON_RAY_DATA], seconds[WARM], strict=True)]
    print(f"Ray Data's start: {statistics.median(starts):.1f} s")
    record("small_work", found, arguments.out)


def _cell(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def _drawn(folder: str, number: int) -> pa.Table:
    rows = corpus_rows(number, seed=5)
    write_pictures(rows, folder)
    return corpus_pairs(rows, folder).select(["image_id", "uri"])


def _embed(images: pa.Table, config: EmbedConfig) -> float:
    """Seconds that the stage takes."""
    with tempfile.TemporaryDirectory() as root:
        store = ArtifactStore(str(Path(root)))
        writer = store.writer("image_embeddings", "embed images", identity={}, inputs={})
        start = time.perf_counter()
        embed_image_rows(images, CLIP, config, writer=writer, progress=Progress(interval_s=60))
        seconds = time.perf_counter() - start
        assert sum(part["rows"] for part in writer.parts) == len(images)
    return seconds


if __name__ == "__main__":
    main()
