"""The CLIP encoder alone, in one process and without Ray: images/s and texts/s in fp32 and bf16.

`embed_images` starts from pixels in main memory and `embed_texts` from texts, as in the process
that encodes for a stage. Beside them stand the rates of the towers alone, over a batch of inputs
that is already on the device. The weights are random, the same in both formats; the embeddings of
each format are compared with those of fp32.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.record import parser, record, say_table
from gist_ray.demo.butterflies.corpus import corpus_pairs, corpus_rows
from gist_ray.encoders.clip import Clip, embed_images, embed_texts, load_clip
from gist_ray.encoders.config import ClipConfig
from gist_ray.encoders.decoding import size_of

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16}
WARM_UPS = 3

Numbers = dict[str, float]


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    pairs = corpus_pairs(corpus_rows(arguments.batch_size, seed=5), "")
    texts = [captions[0] for captions in pairs.column("captions").to_pylist()]
    of_formats: dict[str, Numbers] = {}
    references: list[np.ndarray] = []
    for precision in FORMATS:
        if arguments.cuda:
            torch.cuda.reset_peak_memory_stats()
        clip = _clip(arguments, precision)
        pixels = _pixels(clip, arguments.batch_size)
        embeddings = [embed_images(clip, pixels), embed_texts(clip, texts)]
        references = references or embeddings
        of_formats[precision] = {
            **_rates(clip, pixels, texts, precision=precision, seconds=arguments.seconds),
            "images, least cosine": _least_cosine(embeddings[0], references[0]),
            "texts, least cosine": _least_cosine(embeddings[1], references[1]),
        }
        if arguments.cuda:
            peak_mib = torch.cuda.max_memory_allocated() / 2**20
            of_formats[precision]["GPU memory, peak MiB"] = peak_mib
    _show(of_formats, arguments)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    options = parser(__doc__)
    options.add_argument("--model", default="ViT-B-32", help="open_clip's name, or butterfly-clip")
    options.add_argument("--batch-size", type=int, default=256 if cuda else 32)
    options.add_argument("--seconds", type=float, default=2.0, help="least time of each rate")
    arguments = options.parse_args(words)
    arguments.cuda = cuda
    return arguments


def _clip(arguments: argparse.Namespace, precision: str) -> Clip:
    torch.manual_seed(0)
    device = "cuda" if arguments.cuda else "cpu"
    config = ClipConfig(model=arguments.model)
    return load_clip(config, device=device, precision=precision)


def _pixels(clip: Clip, number: int) -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (number, *size_of(clip.preprocess), 3), dtype=np.uint8)


@torch.inference_mode()
def _rates(
    clip: Clip, pixels: np.ndarray, texts: Sequence[str], *, precision: str, seconds: float
) -> Numbers:
    """Rows/s of the functions that stages call, and of the towers in them."""
    dtype = FORMATS[precision]
    images = torch.rand(len(pixels), 3, *size_of(clip.preprocess), device=clip.device).to(dtype)
    tokens = clip.tokenizer(list(texts)).to(clip.device)
    works: dict[str, Callable[[], Any]] = {
        "images/s": lambda: embed_images(clip, pixels),
        "images/s, tower alone": lambda: clip.model.encode_image(images),
        "texts/s": lambda: embed_texts(clip, texts),
        "texts/s, tower alone": lambda: clip.model.encode_text(tokens),
    }
    return {name: len(pixels) * calls_per_s(work, seconds) for name, work in works.items()}


def calls_per_s(work: Callable[[], Any], seconds: float) -> float:
    """Calls per second of work on the device, over at least `seconds` after WARM_UPS calls."""
    for _ in range(WARM_UPS):
        work()
    _wait()
    start = time.perf_counter()
    calls = 0
    while time.perf_counter() - start < seconds:
        work()
        _wait()
        calls += 1
    return calls / (time.perf_counter() - start)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _least_cosine(embeddings: np.ndarray, references: np.ndarray) -> float:
    """Of L2-normalised embeddings (number, dim), row by row."""
    return float((embeddings * references).sum(axis=1).min())


def _show(of_formats: dict[str, Numbers], arguments: argparse.Namespace) -> None:
    names = list(next(iter(of_formats.values())))
    rows = [[name, *(f"{numbers[name]:,.5g}" for numbers in of_formats.values())] for name in names]
    title = f"Encoder {arguments.model}, batch {arguments.batch_size}"
    say_table(title, ("", *of_formats), rows)
    settings = {name: value for name, value in vars(arguments).items() if name != "out"}
    record("encoder", {"settings": settings, **of_formats}, arguments.out)


if __name__ == "__main__":
    main()
