import math

import pytest
import torch

from gist_ray.encoders.clip import load_clip
from gist_ray.encoders.config import ImageLimits
from gist_ray.errors import UserError
from gist_ray.finetune.loop import start_training, total_steps, train_epoch, train_step
from gist_ray.finetune.loss import make_loss
from gist_ray.finetune.pairs import PairDataset, PairLoader

LABELS = torch.tensor([0, 1, 0, 2, -1, 1, 3, -1])


@pytest.fixture
def batch(tiny):
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    return images, tiny.tokenizer([f"text number {row} of them" for row in range(8)]), LABELS


def step_of(clip_config, config, batch):
    """(loss, gradients by name, training) of one step from the stored weights."""
    training = start_training(load_clip(clip_config).model, config, 1)
    loss = train_step(training, batch, config, make_loss(config.loss, 0, 1))
    gradients = {n: p.grad for n, p in training.model.named_parameters() if p.grad is not None}
    return loss, gradients, training


@pytest.mark.parametrize("loss", ["infonce", "multi_positive"])
def test_micro_batches_have_the_gradient_of_the_whole_batch(tiny_config, recipe, batch, loss):
    options = {"loss": loss, "clip_grad_norm": None}
    whole, wanted, _ = step_of(tiny_config, recipe(**options), batch)
    parts, found, _ = step_of(tiny_config, recipe(**options, micro_batches=4), batch)
    assert parts == pytest.approx(whole, rel=1e-5)
    assert found.keys() == wanted.keys()
    assert float(wanted["logit_scale"].abs()) > 1e-4
    for name, gradient in wanted.items():
        atol = 1e-5 * float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=atol, msg=name)


@pytest.mark.parametrize("precision", ["amp_bf16", "amp_fp16"])
def test_mixed_precision_keeps_fp32_weights_and_nearly_the_loss(
    tiny_config, recipe, batch, precision
):
    full, _, _ = step_of(tiny_config, recipe(), batch)
    loss, _, training = step_of(tiny_config, recipe(precision=precision), batch)
    assert loss == pytest.approx(full, rel=0.05)
    assert {p.dtype for p in training.model.parameters()} == {torch.float32}
    # without it small fp16 gradients are lost, on a CPU as on a GPU
    assert training.scaler.is_enabled() == (precision == "amp_fp16")
    before = load_clip(tiny_config).model.text_projection
    assert not torch.equal(training.model.text_projection, before)


def test_fp16_roundtrip_leaves_weights_that_fp16_can_hold(tiny_config, recipe, batch):
    _, _, training = step_of(tiny_config, recipe(precision="fp16_roundtrip"), batch)
    weight = training.model.visual.proj
    assert torch.equal(weight, weight.half().float())


def test_logit_scale_is_clamped_unless_the_reference_is_wanted(tiny_config, recipe, batch):
    for start, wanted in [(9.0, math.log(100)), (-1.0, 0.0)]:
        for clamped in (True, False):
            config = recipe(clamp_logit_scale=clamped, learning_rate=1e-9)
            training = start_training(load_clip(tiny_config).model, config, 1)
            with torch.no_grad():
                training.model.logit_scale.fill_(start)
            train_step(training, batch, config, make_loss("infonce", 0, 1))
            assert float(training.model.logit_scale.detach()) == pytest.approx(
                wanted if clamped else start, abs=1e-5
            )


def test_the_gradient_is_cut_to_its_largest_norm(tiny_config, recipe, batch):
    _, gradients, _ = step_of(tiny_config, recipe(clip_grad_norm=1e-3), batch)
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    assert float(norm) == pytest.approx(1e-3, rel=1e-3)


def test_frozen_towers_do_not_move(tiny_config, recipe, batch):
    before = load_clip(tiny_config).model.state_dict()
    for towers, still in [("image", "transformer."), ("text", "visual.")]:
        _, _, training = step_of(tiny_config, recipe(train_towers=towers, weight_decay=0.5), batch)
        moved = {
            name
            for name, value in training.model.state_dict().items()
            if not torch.equal(value, before[name])
        }
        assert moved
        assert not any(name.startswith(still) for name in moved)


def test_steps_and_epochs_are_counted(tiny, pairs, recipe):
    config = recipe(num_steps=3)
    training = start_training(tiny.model, config, 1)
    dataset = PairDataset(
        pairs, tiny.tokenizer, tiny.preprocess, config, seed=0, limits=ImageLimits()
    )
    loader = PairLoader(dataset, config, seed=0)
    assert len(train_epoch(training, loader, config, 3)) == 2
    assert (training.epoch, training.step) == (1, 2)
    # the last epoch is cut short
    assert len(train_epoch(training, loader, config, 3)) == 1
    assert (training.epoch, training.step) == (2, 3)
    assert total_steps(recipe(num_steps=None, num_epochs=5), 16, 1) == 10
    assert total_steps(recipe(num_steps=7), 16, 1) == 7


def test_training_fits_the_pairs(tiny, pairs, recipe):
    config = recipe(num_steps=40, batch_size=16, learning_rate=3e-3)
    training = start_training(tiny.model, config, 1)
    dataset = PairDataset(
        pairs, tiny.tokenizer, tiny.preprocess, config, seed=0, limits=ImageLimits()
    )
    loader = PairLoader(dataset, config, seed=0)
    losses: list[float] = []
    while training.step < 40:
        losses += train_epoch(training, loader, config, 40)
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0]


class FakeSigLip(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.logit_bias = torch.nn.Parameter(torch.tensor(-10.0))


def test_models_with_another_kind_of_loss_are_refused(recipe):
    for model in (FakeSigLip(), torch.nn.Linear(2, 2)):
        with pytest.raises(UserError, match=r"cannot be fine-tuned here, only embedded"):
            start_training(model, recipe(), 1)
