"""Image embedding against a plain PyTorch DataLoader loop, images/s in the steady state.

Both have the whole machine. Ours: one encoder process with as many torch threads as there are CPUs,
and one process that decodes in threads. Bare: a loop with as many torch threads, and a DataLoader
with one process per CPU. With CUDA both decode in one process per CPU but one, and the rate of the
model alone, over a batch that is already on the GPU, is measured too.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import open_clip
import pyarrow as pa
import torch
from PIL import Image

from benchmarks.rates import Stamp, in_turns, part_times, say_rates, steady_rate
from benchmarks.record import parser, record
from gist_ray.encoders.clip import open_clip_name
from gist_ray.encoders.config import ClipConfig, EmbedConfig
from gist_ray.encoders.stage import embed_image_rows
from gist_ray.run.cluster import STEADY_CPU, connect
from gist_ray.run.progress import Progress
from gist_ray.store.artifacts import ArtifactStore

NUM_FILES = 512
SIZE = 224


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    # ours has it from `connect`; the bare loop's process inherits it
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, STEADY_CPU):
        uris = draw_pictures(Path(folder), min(arguments.images, NUM_FILES))
        uris = [uris[at % len(uris)] for at in range(arguments.images)]
        connect()
        config = EmbedConfig(
            precision=arguments.precision,
            batch_size=arguments.batch_size,
            rows_per_part=arguments.batch_size,
            cpus_per_worker=1 if arguments.cuda else arguments.cpus,
            gpus_per_worker=1 if arguments.cuda else 0,
            max_decoders=arguments.decoders,
        )
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as other:
            loop = partial(other.submit, bare_loop, uris, arguments)
            rates = in_turns(
                lambda: ours(uris, arguments.model, config),
                lambda: steady_rate(loop().result()),
                arguments.pairs,
            )
            numbers: dict[str, Any] = rates.numbers()
            if arguments.cuda:
                numbers["model_only"] = other.submit(model_only, arguments).result()
    name = f"{arguments.model} {arguments.precision}, batch {arguments.batch_size}"
    say_rates("Image embedding", "images/s", [rates.row(name)])
    if arguments.cuda:
        print(f"the model alone: {numbers['model_only']:,.1f} images/s")
    settings = {name: value for name, value in vars(arguments).items() if name != "out"}
    record("embedding", {"settings": settings, **numbers}, arguments.out)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    cuda, cpus = torch.cuda.is_available(), len(os.sched_getaffinity(0))
    options = parser(__doc__)
    options.add_argument("--model", default="ViT-B-32", help="open_clip's name, or butterfly-clip")
    options.add_argument("--precision", default="bf16" if cuda else "fp32")
    options.add_argument("--batch-size", type=int, default=256 if cuda else 32)
    options.add_argument("--images", type=int, default=100_000 if cuda else 320, help="per turn")
    options.add_argument("--pairs", type=int, default=3, help="turns of each")
    arguments = options.parse_args(words)
    arguments.cuda, arguments.cpus = cuda, cpus
    arguments.decoders = max(1, cpus - 1) if cuda else 1
    arguments.loaders = max(1, cpus - 1) if cuda else cpus
    return arguments


def draw_pictures(folder: Path, number: int) -> list[str]:
    """JPEG files of SIZE x SIZE pixels, about as hard to decode as photographs of that size."""
    draw = np.random.default_rng(0)
    uris = []
    for at in range(number):
        coarse = Image.fromarray(draw.integers(0, 255, (28, 28, 3), dtype=np.uint8))
        uris.append(str(folder / f"{at}.jpg"))
        coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(uris[-1], quality=90)
    return uris


def ours(uris: list[str], model: str, config: EmbedConfig) -> float:
    """Images/s of the embedding stage, from the times of its part files."""
    rows = pa.table({"image_id": [f"image {at}" for at in range(len(uris))], "uri": uris})
    with tempfile.TemporaryDirectory() as root:
        writer = ArtifactStore(root).writer("image_embeddings", "embed images", {}, inputs={})
        clip, progress = ClipConfig(model=model), Progress(interval_s=60)
        embed_image_rows(rows, clip, config, writer=writer, progress=progress)
        assert sum(part["rows"] for part in writer.parts) == len(uris)
        times = part_times(writer.uri)
        return steady_rate([(at, config.batch_size) for at in times.values()])


class Pictures(torch.utils.data.Dataset):
    def __init__(self, uris: list[str], preprocess: Any) -> None:
        self.uris, self.preprocess = uris, preprocess

    def __len__(self) -> int:
        return len(self.uris)

    def __getitem__(self, at: int) -> torch.Tensor:
        return self.preprocess(Image.open(self.uris[at]).convert("RGB"))


@torch.inference_mode()
def bare_loop(uris: list[str], arguments: argparse.Namespace) -> list[Stamp]:
    """A loop as one would write it by hand; runs in a process of its own."""
    model, preprocess, dtype = _bare_model(arguments)
    loader = torch.utils.data.DataLoader(
        Pictures(uris, preprocess),
        batch_size=arguments.batch_size,
        num_workers=arguments.loaders,
        # as in a script; a spawned process would spawn them, one after the other
        multiprocessing_context="fork",
        pin_memory=arguments.cuda,
    )
    device = "cuda" if arguments.cuda else "cpu"
    features, stamps = [], []
    for images in loader:
        # converted on the device: there it takes no time, and pinned memory is copied as it is
        images = images.to(device, non_blocking=True).to(dtype)
        encoded = model.encode_image(images).float()
        features.append(torch.nn.functional.normalize(encoded, dim=-1).cpu().numpy())
        stamps.append((time.time(), len(images)))
    assert len(np.concatenate(features)) == len(uris)
    return stamps


@torch.inference_mode()
def model_only(arguments: argparse.Namespace, batches: int = 200) -> float:
    """Images/s of the image tower over one batch that is already on the GPU."""
    model, _, dtype = _bare_model(arguments)
    images = torch.rand(arguments.batch_size, 3, SIZE, SIZE, device="cuda").to(dtype)
    for warm in (True, False):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(20 if warm else batches):
            model.encode_image(images)
        torch.cuda.synchronize()
    return batches * arguments.batch_size / (time.perf_counter() - start)


def _bare_model(arguments: argparse.Namespace) -> tuple[Any, Any, torch.dtype]:
    torch.set_num_threads(arguments.cpus)
    model, _, preprocess = open_clip.create_model_and_transforms(
        open_clip_name(ClipConfig(model=arguments.model)),
        precision=arguments.precision,
        device="cuda" if arguments.cuda else "cpu",
    )
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return model.eval(), preprocess, dtype[arguments.precision]


if __name__ == "__main__":
    main()
