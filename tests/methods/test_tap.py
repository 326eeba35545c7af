import numpy as np
import torch

from gist_ray.methods.base.class_mean import class_means
from gist_ray.methods.base.predictions import accuracy_and_loss
from gist_ray.methods.base.problem import TextSet
from gist_ray.methods.tap import TapConfig, fit
from gist_ray.methods.tap_clean import TapCleanConfig, split_texts
from gist_ray.methods.tap_clean import fit as fit_clean
from tests.methods.made import CENTRES, CLASS_TEXTS, LOGIT_SCALE, TEST, labelled, problem, unit

MEANS = class_means(CLASS_TEXTS.features, CLASS_TEXTS.labels, 6)


def test_without_noise_it_is_the_published_training_on_texts() -> None:
    """The same steps by torch's own layer, from the same start."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(12, 6, bias=False)
    generator = torch.Generator().manual_seed(problem().seed)
    with torch.no_grad():
        layer.weight.uniform_(-(12**-0.5), 12**-0.5, generator=generator)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-3, weight_decay=0.01)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        texts = torch.from_numpy(CLASS_TEXTS.features)
        criterion(layer(texts), torch.from_numpy(CLASS_TEXTS.labels)).backward()
        optimizer.step()
    found = fit(problem(), TapConfig(num_steps=30, noise=0.0))
    np.testing.assert_allclose(found.weight, layer.weight.detach().numpy(), atol=1e-5)


def test_noise_and_seed_change_it_and_nothing_else_does() -> None:
    config = TapConfig(num_steps=5)
    one, again = (fit(problem(), config).weight for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, fit(problem(), TapConfig(num_steps=5, noise=0.0)).weight)
    assert not np.array_equal(one, fit(problem(seed=3), config).weight)


def test_a_share_of_each_class_is_held_out_and_one_text_never() -> None:
    labels = np.array([0, 1, 0, 2, 0, 1, 0, 0])
    train, held = split_texts(labels, 0.4, seed=1)
    assert sorted([*train, *held]) == list(range(8))
    assert sorted(labels[held]) == [0, 0, 1]
    assert sorted(labels[split_texts(labels, 0.99, seed=1)[0]]) == [0, 1, 2]


def test_where_training_helps_no_held_out_text_the_mean_texts_are_kept() -> None:
    """Steps this long leave every check after the first worse than the mean texts."""
    train, _ = split_texts(CLASS_TEXTS.labels, 0.2, seed=2)
    means = class_means(CLASS_TEXTS.features[train], CLASS_TEXTS.labels[train], 6)
    found = fit_clean(problem(), TapCleanConfig(learning_rate=100.0))
    np.testing.assert_allclose(found.weight, means, atol=1e-6)
    assert abs(found.feature_scale - LOGIT_SCALE) < 1e-4


FAR = np.random.default_rng(0).normal(size=(60, 12))
HARD = TextSet(
    [""] * 60,
    unit(CENTRES[np.repeat(np.arange(6), 10)] + 0.5 * FAR),
    np.repeat(np.arange(6), 10),
)
"""Texts that the mean texts do not tell apart well."""


def test_training_lowers_the_log_loss_of_held_out_texts() -> None:
    _, held = split_texts(HARD.labels, 0.2, seed=2)

    def loss(config: TapCleanConfig) -> float:
        found = fit_clean(problem(texts={"class": HARD}), config)
        return accuracy_and_loss(found, labelled(HARD.features[held], HARD.labels[held]))[1]

    kept = loss(TapCleanConfig(learning_rate=100.0))
    assert loss(TapCleanConfig(learning_rate=0.01)) < kept - 0.1


def test_batches_are_drawn_where_there_are_more_texts() -> None:
    given = problem(texts={"class": HARD})
    one, other = (fit_clean(given, TapCleanConfig(batch_size=n)).weight for n in (20, 4096))
    assert not np.array_equal(one, other)


def test_one_text_per_class_is_itself() -> None:
    single = TextSet([""] * 6, MEANS, np.arange(6))
    found = fit_clean(problem(texts={"class": single}), TapCleanConfig())
    np.testing.assert_allclose(found.weight, MEANS, atol=1e-6)
    assert (found.logits(TEST.features).argmax(axis=1) == TEST.labels).mean() > 0.7
