"""Packed against single files, on the local disk and on a server that speaks S3 (moto) on
loopback: how fast one process packs, and reads in order and at random. Before that, the memory that
listing takes as the number of keys grows.
"""

import io
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

import boto3  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.bucket_of_names import bucket_of_names
from benchmarks.memory import forget_peak, peak_bytes, resident_bytes
from benchmarks.rates import Rates, in_turns, say_rates
from benchmarks.record import parser, record, say_table
from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.image_folder import find_pictures
from gist_ray.datasets.packing.config import PackConfig
from gist_ray.datasets.packing.shard import ROWS, pack_shard
from gist_ray.images import members
from gist_ray.images.decode import fetch
from gist_ray.images.members import row_reference
from gist_ray.schema import table
from gist_ray.store import storage

FETCH_THREADS = 8
"""As in the embedding stage."""

MAX_BYTES = 2**26
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=1000, help="images to pack and read")
    options.add_argument("--turns", type=int, default=3, help="measurements of each rate")
    options.add_argument("--keys", type=int, nargs="+", default=[10_000, 100_000])
    arguments = options.parse_args()
    os.environ.update(CREDENTIALS)
    listed = [listing(number) for number in arguments.keys]
    say_table(
        "Listing a bucket of names",
        ("keys", "seconds", "MiB at most, beyond those before"),
        [(f"{keys:,}", f"{seconds:.1f}", f"{mib:.1f}") for keys, seconds, mib in listed],
    )
    numbers: dict[str, object] = {"listing": listed}
    rows = []
    with tempfile.TemporaryDirectory() as folder, s3_server() as bucket:
        for store, root in (("local disk", folder), ("S3 (moto)", bucket)):
            packed, reads = measure(root, arguments.images, arguments.turns)
            numbers[store] = {"packed_per_s": packed} | {n: r.numbers() for n, r in reads.items()}
            print(f"{store}: one process packs {packed:,.0f} images/s")
            rows += [rates.row(f"{store}, {name}") for name, rates in reads.items()]
    say_rates("Packed (ours) and single files (bare)", "images/s", rows)
    record("packing", {"images": arguments.images, **numbers}, arguments.out)


def listing(num_keys: int) -> tuple[int, float, float]:
    """Keys, seconds and MiB of listing a folder, in a process of its own."""
    own = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    with bucket_of_names(num_keys) as endpoint, own:
        seconds, mib = own.submit(_list, endpoint, num_keys).result()
    return num_keys, seconds, mib


def _list(endpoint: str, num_keys: int) -> tuple[float, float]:
    os.environ["AWS_ENDPOINT_URL"] = endpoint
    next(find_pictures("s3://names/images"))  # what is loaded once
    forget_peak()
    before, start = resident_bytes(), time.perf_counter()
    assert sum(len(found) for found in find_pictures("s3://names/images")) == num_keys
    return time.perf_counter() - start, (peak_bytes() - before) / 2**20


@contextmanager
def s3_server() -> Iterator[str]:
    """A bucket on a server in a process of its own."""
    port = random.randrange(20_000, 30_000)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    try:
        boto3.client("s3").create_bucket(Bucket="packs")
        yield "s3://packs"
    finally:
        server.terminate()


def measure(root: str, num_images: int, num_turns: int) -> tuple[float, dict[str, Rates]]:
    """Images packed per second, and the rates of reading them."""
    rows = write_images(root, num_images)
    shard = storage.join(root, "shards/000000.parquet")
    config = PackConfig(out=root, data=DataConfig(layout="image_folder", path=root))
    start = time.perf_counter()
    pack_shard(rows, shard, config)
    packed = num_images / (time.perf_counter() - start)
    single = rows.column("uri").to_pylist()
    in_shard = [row_reference(shard, row) for row in range(num_images)]
    members.MAX_CACHED_BYTES = storage.size(shard) // 16
    order = np.random.default_rng(0).permutation(num_images)
    return packed, {
        "in order": in_turns(lambda: _rate(in_shard), lambda: _rate(single), num_turns),
        "at random": in_turns(
            lambda: _rate([in_shard[i] for i in order]),
            lambda: _rate([single[i] for i in order]),
            num_turns,
        ),
    }


def write_images(root: str, num_images: int) -> pa.Table:
    """JPEG files of 224 pixels, about 15 KB each, as ROWS."""
    rows = []
    for number in range(num_images):
        low = np.random.default_rng(number).integers(0, 256, (28, 28, 3), np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(low).resize((224, 224), Image.Resampling.BICUBIC).save(
            buffer, "JPEG", quality=90
        )
        uri = storage.join(root, f"images/{number:06d}.jpg")
        storage.write_bytes(uri, buffer.getvalue())
        image = {"image_id": str(number), "uri": uri, "name": f"{number}.jpg", "label": 0}
        rows.append({**image, "class_name": "a", "split": "train", "attributes": "{}"})
    return table(rows, ROWS)


def _rate(uris: Sequence[str]) -> float:
    """A process that has read nothing yet, and keeps a sixteenth of the images."""
    members._footers.clear()
    members._groups = members._RowGroups()
    start = time.perf_counter()
    with ThreadPoolExecutor(FETCH_THREADS) as threads:
        for data in threads.map(lambda uri: fetch(uri, MAX_BYTES), uris):
            assert data
    return len(uris) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
