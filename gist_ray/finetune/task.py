"""The task of fine-tuning CLIP on image-text pairs."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import open_clip
import torch
from torch import Tensor

from gist_ray.encoders.clip import Clip, load_clip, open_clip_name
from gist_ray.errors import UserError
from gist_ray.finetune.contrast import Contrast, contrast
from gist_ray.finetune.export import export_model
from gist_ray.finetune.job import PAIRS_FILE, VAL_FILE, FinetuneJob
from gist_ray.finetune.loss import make_loss
from gist_ray.finetune.pairs import Batch, EpochBatches, PairDataset, PairLoader
from gist_ray.finetune.selection import probe_score, retrieval_score, validation_sample
from gist_ray.finetune.weights import clamp_logit_scale, freeze, interpolate, round_to_fp16
from gist_ray.store import storage
from gist_ray.train.state import cpu_copy
from gist_ray.train.task import Backward, Task

TRAINABLE = (open_clip.CLIP, open_clip.CustomTextCLIP)


class FinetuneTask(Task):
    """CLIP on the pairs of a job. Raises UserError as `Task` says."""

    _clip: Clip
    _before: dict[str, Tensor] | None
    """The weights before the training, where WiSE-FT needs them."""
    _loader: PairLoader | None = None

    def __init__(self, job: FinetuneJob) -> None:
        self._job, self._config = job, job.config
        self._pairs = storage.read_parquet(storage.join(job.folder, PAIRS_FILE))
        val = storage.read_parquet(storage.join(job.folder, VAL_FILE))
        sample = partial(
            validation_sample, num_images=job.config.num_validation_images, seed=job.seed
        )
        self._judged_by = (sample(self._pairs), sample(val))

    def model(self, device: torch.device) -> Any:
        """Returns the open_clip model.

        Raises:
            UserError: also if the model is not trained by a contrast of pairs (SigLIP, CoCa), or
                cannot be locked as the config says.
        """
        self._clip = load_clip(
            self._job.clip, device=str(device), random_weights=self._job.random_weights
        )
        model = self._clip.model
        check_trainable(model)
        self._before = cpu_copy(model) if self._config.wise_ft < 1 else None
        freeze(model, self._config)
        if self._config.grad_checkpointing:
            model.set_grad_checkpointing()
        if device.type == "cpu":
            # Convolutions are faster so on a CPU; to a transformer it makes no difference.
            model.visual.to(memory_format=torch.channels_last)
        return model

    def num_batches(self, world_size: int) -> int:
        batch_size = self._config.batch_size
        return len(EpochBatches(len(self._pairs), batch_size, seed=0, world_size=world_size))

    def batches(self, epoch: int, rank: int, world_size: int) -> Iterator[Batch]:
        """Yields (images, tokens, labels); see `PairDataset`."""
        if self._loader is None:
            dataset = PairDataset(
                self._pairs,
                self._config,
                tokenizer=self._clip.tokenizer,
                preprocess=self._clip.preprocess,
                seed=self._job.seed,
                limits=self._job.limits,
            )
            self._loader = PairLoader(dataset, self._config, rank=rank, world_size=world_size)
        return self._loader.batches(epoch, self._clip.device)

    def loss(self, model: Any, batch: Batch, backward: Backward) -> dict[str, Tensor]:
        """Contrasts the batches of all workers, whose features are gathered."""
        group = torch.distributed
        rank, world_size = (
            (group.get_rank(), group.get_world_size()) if group.is_initialized() else (0, 1)
        )
        how = Contrast(
            make_loss(self._config.loss, rank=rank, world_size=world_size),
            self._config.precision,
            self._config.micro_batches,
        )
        return {"loss": contrast(model, batch, backward, how=how)}

    def after_step(self, model: Any) -> None:
        """Keeps weights in fp16 and logit_scale in its range, where the config says so."""
        if self._config.precision == "fp16_roundtrip":
            round_to_fp16(model)
        if self._config.clamp_logit_scale:
            clamp_logit_scale(model)

    def score(self, model: Any) -> float | None:
        """Returns the score of `FinetuneConfig.select_by`, on the same sample each time."""
        train, val = self._judged_by
        if self._config.select_by == "probe":
            return probe_score(self._clip, train, val, limits=self._job.limits)
        if self._config.select_by == "retrieval":
            return retrieval_score(self._clip, val, limits=self._job.limits)
        return None

    def figures(self, model: Any) -> dict[str, float]:
        """Returns the learned inverse temperature."""
        return {"logit_scale": self._clip.logit_scale}

    def export(self, model: Any, folder: str) -> None:
        """Writes an open_clip folder, of the average with the weights before if WiSE-FT is on."""
        if self._before is not None:
            mixed = interpolate(cpu_copy(model), self._before, self._config.wise_ft)
            model.load_state_dict(mixed)
        export_model(self._clip, open_clip_name(self._job.clip), folder, half=self._job.half)


def check_trainable(model: Any) -> None:
    """Raises UserError if a model is not trained by a contrast of pairs (SigLIP, CoCa)."""
    if getattr(model, "logit_bias", None) is not None or not isinstance(model, TRAINABLE):
        raise UserError(
            f"clip.model: {type(model).__name__} with its own kind of loss (SigLIP, CoCa) cannot "
            "be fine-tuned here, only embedded and matched. Take a CLIP for clip.model."
        )
