"""Image-text pairs for the trainer: what is read, drawn and augmented at each visit.

Every random choice is a function of (seed, epoch, image), so a visit is the same whichever worker
or process makes it, and a training that goes on from a checkpoint sees what it would have seen.
"""

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from open_clip.transform import PreprocessCfg
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from gist_ray.encoders.images import decode, fetch
from gist_ray.finetune.config import FinetuneConfig

Visit = tuple[int, int]  # (epoch, row)

MAX_IMAGE_BYTES = 64 * 2**20
MAX_IMAGE_PIXELS = 100_000_000


class PairDataset(torch.utils.data.Dataset):
    """Rows of a PAIRS table by visit: (image (3, height, width) float32 normalised, token ids
    (context_length,), label int or -1)."""

    def __init__(
        self,
        pairs: pa.Table,
        tokenizer: Any,
        preprocess: PreprocessCfg,
        config: FinetuneConfig,
        seed: int,
    ) -> None:
        self.uris = pairs.column("uri").to_pylist()
        self.captions = pairs.column("captions").to_pylist()
        self.labels = [-1 if label is None else label for label in pairs.column("label").to_pylist()]
        self.tokens: dict[str, torch.Tensor] = {}
        self.tokenizer = tokenizer
        self.transform = augmentation(preprocess, config)
        self.seed = seed
        self.cache: dict[int, bytes] = {}
        self.cache_bytes_left = config.cache_mib * 2**20

    def __len__(self) -> int:
        return len(self.uris)

    def __getitem__(self, visit: Visit) -> tuple[torch.Tensor, torch.Tensor, int]:
        epoch, row = visit
        draw = random.Random(f"{self.seed}/{epoch}/{row}")
        caption = draw.choice(self.captions[row])
        image = decode(self._bytes(row), MAX_IMAGE_PIXELS)
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would also queue a call, with its stack, for every absent device
            torch.default_generator.manual_seed(draw.getrandbits(63))
            pixels = self.transform(image)
        return pixels, self._tokens(caption), self.labels[row]

    def _bytes(self, row: int) -> bytes:
        if row in self.cache:
            return self.cache[row]
        data = fetch(self.uris[row], MAX_IMAGE_BYTES)
        if len(data) <= self.cache_bytes_left:
            self.cache[row] = data
            self.cache_bytes_left -= len(data)
        return data

    def _tokens(self, caption: str) -> torch.Tensor:
        if caption not in self.tokens:
            self.tokens[caption] = self.tokenizer([caption])[0]
        return self.tokens[caption]


def augmentation(preprocess: PreprocessCfg, config: FinetuneConfig) -> transforms.Compose:
    """PIL RGB image -> normalised tensor: random resized crop, perhaps a mirror (FLYP, GIST)."""
    steps: list[Any] = [
        transforms.RandomResizedCrop(
            preprocess.size,
            scale=(config.crop_scale_min, 1.0),
            interpolation=InterpolationMode.BICUBIC,
        )
    ]
    if config.horizontal_flip:
        steps.append(transforms.RandomHorizontalFlip())
    steps += [transforms.ToTensor(), transforms.Normalize(preprocess.mean, preprocess.std)]
    return transforms.Compose(steps)


class EpochBatches:
    """The batches of one epoch for one worker, as lists of visits.

    Every epoch is a fresh permutation of all rows. The global batch is cut into equal shares, one
    per worker; what does not fill a batch is left for another epoch's permutation.
    """

    def __init__(
        self, num_rows: int, batch_size: int, seed: int, epoch: int, rank: int, world_size: int
    ) -> None:
        self.batch_size = min(batch_size, num_rows - num_rows % world_size)
        self.order = np.random.default_rng([seed, epoch]).permutation(num_rows)
        self.epoch = epoch
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return len(self.order) // self.batch_size

    def __iter__(self) -> Iterator[list[Visit]]:
        share = self.batch_size // self.world_size
        for batch in range(len(self)):
            first = batch * self.batch_size + self.rank * share
            yield [(self.epoch, int(row)) for row in self.order[first : first + share]]
