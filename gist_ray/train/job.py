"""The description of a training for its driver and its workers; imports nothing slow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gist_ray.store import storage
from gist_ray.train.config import TrainConfig

if TYPE_CHECKING:
    from gist_ray.train.task import Task

HISTORY_FILE = "history.json"
MODEL_FOLDER = "model"
STATE_FILE = "state.pt"
STOP_FILE = "stop"
"""Name of the file that ends the training after its next validation."""

Entry = dict[str, float | None]
"""An entry of the history, made at a validation: step, num_steps, epoch, the mean of each term of
the loss since the last, score (None where nothing is chosen by it), and figures of the task."""


class TrainingStoppedError(Exception):
    """Raised when the training was told to stop."""


@dataclass(frozen=True)
class TrainJob:
    """Description of one training, in plain values that can be pickled to any machine."""

    folder: str
    """Where state, history and model are written: that of the artifact, local or a URI."""
    make_task: Callable[[], "Task"]
    """Called in each worker. Picklable, and unpickled without importing what is slow to load: Ray
    Train's controller unpickles it too."""
    config: TrainConfig
    seed: int
    """Of weights that begin at random, and of what is random inside the model."""

    def file(self, name: str) -> str:
        """Returns the location of a file or folder of the training."""
        return storage.join(self.folder, name)
