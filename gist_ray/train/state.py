"""The state from which a training resumes: its contents and its storage."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gist_ray.errors import UserError
from gist_ray.store import storage
from gist_ray.train.job import STATE_FILE, Entry


@dataclass
class Training:
    """The values that change while a worker trains, all of which a stored state has."""

    model: Any
    """The model itself."""
    forward: Any
    """The model, in DistributedDataParallel where there are several workers."""
    optimizer: torch.optim.Optimizer
    scaler: Any
    epoch: int = 0
    step: int = 0
    best_score: float = float("-inf")
    best_step: int = 0
    best_weights: dict[str, Tensor] | None = None
    history: list[Entry] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Returns tensors and plain values only, so that it loads with weights_only=True.

        It is taken between epochs, and every epoch seeds the random generators anew on each
        worker, so `epoch` is their state.
        """
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "best_weights": self.best_weights,
            "history": self.history,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Sets the training to a result of `state`."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.best_score, self.best_step = state["best_score"], state["best_step"]
        self.best_weights = state["best_weights"]
        self.history = state["history"]


def cpu_copy(model: nn.Module) -> dict[str, Tensor]:
    """Returns a copy of a model's weights and statistics, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def save_state(training: Training, uri: str) -> None:
    """Stores the state of a training, whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STATE_FILE
        torch.save({**training.state(), "stored_in": _folder_name(uri)}, path)
        storage.put_file(str(path), uri)


def load_state(training: Training, uri: str) -> bool:
    """Loads a stored state into the training; returns False if there is none. Nothing in it is
    executed.

    Raises:
        UserError: for a file that is no state, or that of another training: a folder is called by
            the fingerprint of its model and recipe.
    """
    if not storage.exists(uri):
        return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STATE_FILE
        storage.get_file(uri, str(path))
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["stored_in"] != _folder_name(uri):
                raise ValueError(f"it is of the training {state['stored_in']}")
            training.load(state)
        # a file that is cut, no state at all, or of other weights raises nearly anything
        except Exception as error:
            raise UserError(
                f"{uri}: is not a state of this training ({type(error).__name__}: "
                f"{_on_one_line(error)}). Delete it to train from the beginning."
            ) from error
    return True


def _folder_name(uri: str) -> str:
    return uri.rsplit("/", 2)[-2]


def _on_one_line(error: Exception, limit: int = 300) -> str:
    return " ".join(str(error).split())[:limit]
