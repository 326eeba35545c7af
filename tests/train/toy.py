"""A task without CLIP: a line through points, with dropout."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from gist_ray.train.config import TrainConfig
from gist_ray.train.task import Backward, Task

NUM_ROWS, DIM = 8, 3
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class Toy(Task):
    """Rows are cut into batches in their order."""

    config: TrainConfig
    scores: tuple[float, ...] | None = None
    """One for each validation; None: nothing is chosen."""
    at_epoch: dict[int, Any] | None = None
    """{epoch: called before its first batch}."""

    def model(self, device: torch.device) -> torch.nn.Module:
        model = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(DIM, 1))
        model.validated = 0
        return model.to(device)

    def num_batches(self, world_size: int) -> int:
        return NUM_ROWS // self.config.batch_size

    def batches(self, epoch: int, rank: int, world_size: int) -> Iterator[Any]:
        if self.at_epoch and epoch in self.at_epoch:
            self.at_epoch[epoch]()
        rows = torch.randn(NUM_ROWS, DIM, generator=torch.Generator().manual_seed(5))
        for batch in rows.split(self.config.batch_size):
            yield batch.chunk(world_size)[rank]

    def loss(self, model: Any, batch: Any, backward: Backward) -> dict[str, torch.Tensor]:
        loss = (model(batch)[:, 0] - batch.sum(dim=1)).square().mean()
        backward(loss)
        return {"loss": loss, "twice": 2 * loss}

    def score(self, model: Any) -> float | None:
        assert not model.training
        if self.scores is None:
            return None
        model.validated += 1
        return self.scores[model.validated - 1]

    def figures(self, model: Any) -> dict[str, float]:
        return {"bias": float(model[1].bias.detach())}

    def export(self, model: Any, folder: str) -> None:
        Path(folder).mkdir(exist_ok=True)
        save_file(model.state_dict(), str(Path(folder, WEIGHTS_FILE)))


def toy_config(**options: Any) -> TrainConfig:
    """Epochs of two steps, validated at the end of each."""
    values = {
        "num_steps": 6,
        "batch_size": 4,
        "learning_rate": 0.05,
        "warmup_steps": 1,
        "validate_every_steps": 2,
    }
    return TrainConfig(**(values | options))


def exported(folder: Path | str) -> dict[str, torch.Tensor]:
    return load_file(Path(folder, "model", WEIGHTS_FILE))
