import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gist_ray.errors import UserError
from gist_ray.train import state as module
from gist_ray.train.loop import Epochs, Worker, start_training, train_epoch
from gist_ray.train.state import Training, load_state, save_state
from tests.train.toy import Toy, toy_config

CONFIG = replace(toy_config(), precision="amp_fp16", weight_decay=0.1)
EPOCHS = Epochs(CONFIG, num_steps=6, seed=3)


def start() -> Training:
    torch.manual_seed(0)
    return start_training(Toy(CONFIG), CONFIG, Worker())


def to_the_end(training: Training) -> dict[str, torch.Tensor]:
    while training.step < EPOCHS.num_steps:
        train_epoch(training, Toy(CONFIG), EPOCHS)
    return training.model.state_dict()


@pytest.mark.parametrize("folder", ["local", "memory"])
def test_a_training_that_goes_on_ends_bit_for_bit_as_an_unbroken_one(
    tmp_path: Path, folder: str
) -> None:
    """The model has dropout, which draws from torch's generator."""
    uri = f"{tmp_path}/run/state.pt" if folder == "local" else "memory://run/state.pt"
    wanted = to_the_end(start())

    first = start()
    train_epoch(first, Toy(CONFIG), EPOCHS)
    first.best_score, first.best_step = 0.5, 2
    first.best_weights = {name: value.clone() for name, value in first.model.state_dict().items()}
    first.history.append({"step": 2, "score": None})
    save_state(first, uri)

    # other draws in between must not matter
    second = start()
    torch.manual_seed(12345)
    assert load_state(second, uri)
    assert (second.step, second.epoch, second.best_score, second.best_step) == (2, 1, 0.5, 2)
    assert second.history == [{"step": 2, "score": None}]
    assert second.best_weights is not None
    assert second.best_weights.keys() == first.best_weights.keys()
    assert all(torch.equal(wanted[name], value) for name, value in to_the_end(second).items())


def test_a_state_is_plain_values_and_absent_where_there_is_none(tmp_path: Path) -> None:
    training = start()
    assert not load_state(training, f"{tmp_path}/none.pt")
    save_state(training, f"{tmp_path}/state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert {"model", "optimizer", "scaler", "epoch", "step", "best_weights", "history"} <= set(
        state
    )
    assert "weights_only=True" in inspect.getsource(module.load_state)
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_the_state_of_another_training_is_refused(tmp_path: Path) -> None:
    save_state(start(), f"{tmp_path}/one/state.pt")
    (tmp_path / "other").mkdir()
    (tmp_path / "one/state.pt").rename(tmp_path / "other/state.pt")
    with pytest.raises(UserError, match=r"it is of the training one\)\. Delete it"):
        load_state(start(), f"{tmp_path}/other/state.pt")
