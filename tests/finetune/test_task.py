import math
import multiprocessing

import pytest
import torch
from safetensors.torch import load_file

from gist_ray.encoders.clip import load_clip
from gist_ray.errors import UserError
from gist_ray.finetune import task as task_module
from gist_ray.finetune.job import PAIRS_FILE
from gist_ray.finetune.task import check_trainable
from gist_ray.finetune.weights import interpolate
from gist_ray.store import storage
from gist_ray.train import single
from gist_ray.train.job import STATE_FILE, TrainJob
from gist_ray.train.loop import Epochs, Worker, start_training, train_epoch, train_step

LABELS = torch.tensor([0, 1, 0, 2, -1, 1, 3, -1])


@pytest.fixture
def batch(tiny):
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    return images, tiny.tokenizer([f"text number {row} of them" for row in range(8)]), LABELS


def step_of(job, batch, *, logit_scale=None):
    """(loss, gradients by name, training) of one step from the stored weights."""
    task = job.make_task()
    training = start_training(task, job.config, Worker())
    if logit_scale is not None:
        with torch.no_grad():
            training.model.logit_scale.fill_(logit_scale)
    terms = train_step(training, task, batch, clip_grad_norm=None)
    gradients = {n: p.grad for n, p in training.model.named_parameters() if p.grad is not None}
    return terms["loss"], gradients, training


@pytest.mark.parametrize("loss", ["infonce", "multi_positive"])
def test_micro_batches_have_the_gradient_of_the_whole_batch(
    tiny_config, recipe, make_job, batch, loss
):
    whole, wanted, _ = step_of(make_job(tiny_config, recipe(loss=loss)), batch)
    parts, found, _ = step_of(make_job(tiny_config, recipe(loss=loss, micro_batches=4)), batch)
    assert parts == pytest.approx(whole, rel=1e-5)
    assert found.keys() == wanted.keys()
    assert float(wanted["logit_scale"].abs()) > 1e-4
    for name, gradient in wanted.items():
        atol = 1e-5 * float(gradient.abs().max())
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=atol, msg=name)


@pytest.mark.parametrize("precision", ["amp_bf16", "amp_fp16"])
def test_mixed_precision_keeps_fp32_weights_and_nearly_the_loss(
    tiny_config, recipe, make_job, batch, precision
):
    full, _, _ = step_of(make_job(tiny_config, recipe()), batch)
    loss, _, training = step_of(make_job(tiny_config, recipe(precision=precision)), batch)
    assert loss == pytest.approx(full, rel=0.05)
    assert {p.dtype for p in training.model.parameters()} == {torch.float32}
    # without it small fp16 gradients are lost, on a CPU as on a GPU
    assert training.scaler.is_enabled() == (precision == "amp_fp16")
    before = load_clip(tiny_config).model.text_projection
    assert not torch.equal(training.model.text_projection, before)


def test_fp16_roundtrip_leaves_weights_that_fp16_can_hold(tiny_config, recipe, make_job, batch):
    _, _, training = step_of(make_job(tiny_config, recipe(precision="fp16_roundtrip")), batch)
    weight = training.model.visual.proj
    assert torch.equal(weight, weight.half().float())


def test_logit_scale_is_clamped_unless_the_reference_is_wanted(
    tiny_config, recipe, make_job, batch
):
    for start, wanted in [(9.0, math.log(100)), (-1.0, 0.0)]:
        for clamped in (True, False):
            config = recipe(clamp_logit_scale=clamped, learning_rate=1e-9)
            _, _, training = step_of(make_job(tiny_config, config), batch, logit_scale=start)
            assert float(training.model.logit_scale.detach()) == pytest.approx(
                wanted if clamped else start, abs=1e-5
            )


def test_frozen_towers_do_not_move(tiny_config, recipe, make_job, batch):
    before = load_clip(tiny_config).model.state_dict()
    for towers, still in [("image", "transformer."), ("text", "visual.")]:
        _, _, training = step_of(
            make_job(tiny_config, recipe(train_towers=towers, weight_decay=0.5)), batch
        )
        moved = {
            name
            for name, value in training.model.state_dict().items()
            if not torch.equal(value, before[name])
        }
        assert moved
        assert not any(name.startswith(still) for name in moved)


def test_an_epoch_has_as_many_batches_as_it_counts(tiny_config, recipe, make_job):
    task = make_job(tiny_config, recipe(batch_size=6)).make_task()
    task.model(torch.device("cpu"))
    for world_size in (1, 2):
        assert task.num_batches(world_size) == 2
    assert len(list(task.batches(0, 0, 1))) == 2


def test_batches_are_the_same_again_and_others_in_another_epoch(tiny_config, recipe, make_job):
    task = make_job(tiny_config, recipe()).make_task()
    task.model(torch.device("cpu"))
    first, again, other = (next(task.batches(epoch, 0, 1)) for epoch in (0, 0, 1))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_training_fits_the_pairs(tiny_config, recipe, make_job):
    job = make_job(tiny_config, recipe(num_steps=40, batch_size=12, learning_rate=3e-3))
    task, epochs = job.make_task(), Epochs(job.config, num_steps=40, seed=0)
    training = start_training(task, job.config, Worker())
    losses: list[float] = []
    while training.step < 40:
        losses += [terms["loss"] for terms in train_epoch(training, task, epochs)]
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0]


def test_every_validation_embeds_the_same_bounded_sample(
    tiny_config, pairs, recipe, make_job, monkeypatch
):
    judged = []

    def score(clip, train, val, *, limits):
        judged.append((train["uri"].to_pylist(), val["uri"].to_pylist()))
        return 0.0

    monkeypatch.setattr(task_module, "probe_score", score)
    job = make_job(tiny_config, recipe(select_by="probe", num_validation_images=6))
    task = job.make_task()
    model = task.model(torch.device("cpu"))
    assert [task.score(model), task.score(model)] == [0.0, 0.0]
    assert judged[0] == judged[1]
    train, val = judged[0]
    assert len(train) == 6
    assert set(train) < set(pairs.slice(0, 12)["uri"].to_pylist())
    assert val == pairs.slice(12)["uri"].to_pylist()


def test_without_a_choice_there_is_no_score(tiny_config, recipe, make_job):
    task = make_job(tiny_config, recipe(select_by="last")).make_task()
    model = task.model(torch.device("cpu"))
    assert task.score(model) is None
    assert task.figures(model) == {"logit_scale": pytest.approx(1 / 0.07)}


def test_what_is_exported_lies_between_the_weights_before_and_after(
    tiny_config, recipe, make_job, tmp_path
):
    """WiSE-FT."""
    job = make_job(tiny_config, recipe(wise_ft=0.25))
    task = job.make_task()
    model = task.model(torch.device("cpu"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    wanted = interpolate(model.state_dict(), before, 0.25)
    task.export(model, f"{tmp_path}/model")
    found = load_file(tmp_path / "model/open_clip_model.safetensors")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.slow
def test_reading_processes_end_with_the_training(tiny_config, recipe, make_job):
    """As the process of a warm worker lives on."""
    job = make_job(tiny_config, recipe(num_steps=2, loader_processes=1))
    single._train(TrainJob(job.folder, job.make_task, job.config, seed=0))
    assert multiprocessing.active_children() == []

    pairs = storage.read_parquet(f"{job.folder}/{PAIRS_FILE}")
    at = pairs.schema.get_field_index("uri")
    broken = pairs.set_column(at, "uri", [["/none/a.png"] * len(pairs)])
    storage.write_parquet(f"{job.folder}/{PAIRS_FILE}", broken)
    storage.delete(f"{job.folder}/{STATE_FILE}")
    with pytest.raises(UserError, match="a training image cannot be read"):
        single._train(TrainJob(job.folder, job.make_task, job.config, seed=0))
    assert multiprocessing.active_children() == []


class FakeSigLip(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.logit_bias = torch.nn.Parameter(torch.tensor(-10.0))


def test_models_with_another_kind_of_loss_are_refused():
    for model in (FakeSigLip(), torch.nn.Linear(2, 2)):
        with pytest.raises(UserError, match=r"cannot be fine-tuned here, only embedded"):
            check_trainable(model)
