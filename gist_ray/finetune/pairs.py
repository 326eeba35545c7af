"""Image-text pairs for the trainer: they are read, drawn and augmented at each visit.

Every random choice is a function of (seed, epoch, image), so a visit is the same whichever worker
or process makes it, and a training that goes on from a checkpoint sees what it would have seen.
"""

import multiprocessing
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from open_clip.transform import PreprocessCfg
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.images.decode import ImageError, decode, fetch
from gist_ray.images.limits import ImageLimits
from gist_ray.schema import TRANSIENT_KINDS

RGB_BYTES = 3

Visit = tuple[int, int]  # (epoch, row)
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # images, tokens, labels


class PairDataset(torch.utils.data.Dataset):
    """Rows of a PAIRS table by visit: (image (3, height, width) float32 normalised, token ids
    (context_length,), label int or -1)."""

    def __init__(
        self,
        pairs: pa.Table,
        config: FinetuneConfig,
        *,
        tokenizer: Any,
        preprocess: PreprocessCfg,
        seed: int,
        limits: ImageLimits,
    ) -> None:
        """tokenizer, preprocess: of the model that is trained. limits: a picture beyond them raises
        UserError."""
        self.uris = pairs.column("uri").to_pylist()
        self.captions = pairs.column("captions").to_pylist()
        self.labels = [
            -1 if label is None else label for label in pairs.column("label").to_pylist()
        ]
        self.tokens: dict[str, torch.Tensor] = {}
        self.tokenizer = tokenizer
        self.transform = augmentation(preprocess, config)
        self.seed = seed
        self.limits = limits
        self.cache: dict[int, Image.Image | bytes] = {}
        self.cache_bytes_left = config.cache_mib * 2**20
        self.decoded_bytes_kept = self.cache_bytes_left // max(1, len(pairs))
        """Most bytes of a decoded picture that is kept: all decoded ones fit into the cache."""

    def __len__(self) -> int:
        return len(self.uris)

    def __getitem__(self, visit: Visit) -> tuple[torch.Tensor, torch.Tensor, int]:
        epoch, row = visit
        draw = random.Random(f"{self.seed}/{epoch}/{row}")
        caption = draw.choice(self.captions[row])
        image = self._image(row)
        with torch.random.fork_rng(devices=[]):
            # torch.manual_seed would also queue a call, with its stack, for every absent device
            torch.default_generator.manual_seed(draw.getrandbits(63))
            pixels = self.transform(image)
        return pixels, self._tokens(caption), self.labels[row]

    def _image(self, row: int) -> Image.Image:
        """Returns a picture. Small ones are kept decoded, others as their files, while there is
        space in the cache."""
        kept = self.cache.get(row)
        if isinstance(kept, Image.Image):
            return kept
        try:
            data = fetch(self.uris[row], self.limits.max_bytes) if kept is None else kept
            image = decode(data, self.limits.max_image_pixels, white_level=self.limits.white_level)
        except ImageError as error:
            fix = "Mend or remove it and run again."
            if error.kind in TRANSIENT_KINDS:
                fix = "Run again once the store answers: the training goes on where it was stored."
            raise UserError(
                f"{self.uris[row]}: a training image cannot be read ({error.kind}: "
                f"{error.message}). {fix}"
            ) from error
        if kept is None:
            decoded_bytes = image.width * image.height * RGB_BYTES
            if decoded_bytes <= self.decoded_bytes_kept:
                self._keep(row, image, decoded_bytes)
            else:
                self._keep(row, data, len(data))
        return image

    def _keep(self, row: int, value: Image.Image | bytes, num_bytes: int) -> None:
        if num_bytes <= self.cache_bytes_left:
            self.cache[row] = value
            self.cache_bytes_left -= num_bytes

    def _tokens(self, caption: str) -> torch.Tensor:
        if caption not in self.tokens:
            self.tokens[caption] = self.tokenizer([caption])[0]
        return self.tokens[caption]


def augmentation(preprocess: PreprocessCfg, config: FinetuneConfig) -> transforms.Compose:
    """Returns PIL RGB image -> normalised tensor: random resized crop, perhaps a mirror (FLYP,
    GIST)."""
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
    """The batches of an epoch for one worker, as lists of visits; `epoch` says of which one.

    Every epoch is a fresh permutation of all rows. The global batch is cut into equal shares, one
    per worker; what does not fill a batch is left for another epoch's permutation.
    """

    def __init__(
        self, num_rows: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        self.num_rows = num_rows
        self.batch_size = min(batch_size, num_rows - num_rows % world_size)
        self.seed = seed
        self.epoch = 0
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return self.num_rows // self.batch_size

    def __iter__(self) -> Iterator[list[Visit]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_rows)
        share = self.batch_size // self.world_size
        for batch in range(len(self)):
            first = batch * self.batch_size + self.rank * share
            yield [(self.epoch, int(row)) for row in order[first : first + share]]


class PairLoader:
    """Reads and augments batches, with the same processes from epoch to epoch.

    Starting a process takes seconds, and its cache of pictures would be lost with it.
    """

    def __init__(
        self, dataset: PairDataset, config: FinetuneConfig, *, rank: int = 0, world_size: int = 1
    ) -> None:
        self._batches = EpochBatches(
            len(dataset), config.batch_size, seed=dataset.seed, rank=rank, world_size=world_size
        )
        self._loader = torch.utils.data.DataLoader(
            dataset,
            batch_sampler=self._batches,
            num_workers=config.loader_processes,
            multiprocessing_context=_context() if config.loader_processes else None,
            persistent_workers=config.loader_processes > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def batches(self, epoch: int, device: torch.device) -> Iterator[Batch]:
        """Yields the batches of an epoch on `device`."""
        self._batches.epoch = epoch
        for images, tokens, labels in self._loader:
            images = images.to(device, non_blocking=True)
            if device.type == "cpu":
                images = images.contiguous(memory_format=torch.channels_last)
            yield images, tokens.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def _context() -> Any:
    """Returns how processes that read start: they are forked from one that has imported this module
    and no more.

    Forking the worker itself, which has a CUDA context or s3fs threads, deadlocks (s3fs#914).
    Spawned processes start one after the other, each for as long as it imports torch, because each
    has to take the whole data set before the next is started.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context
