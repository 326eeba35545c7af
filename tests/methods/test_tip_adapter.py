import numpy as np

from gist_ray.methods.base.linear_classifier import by_cosine
from gist_ray.methods.base.text_head import text_head
from gist_ray.methods.tip_adapter import TipAdapterConfig, fit
from gist_ray.methods.tip_adapter_best_texts import TipAdapterBestTextsConfig
from gist_ray.methods.tip_adapter_best_texts import fit as fit_over_best_texts
from gist_ray.methods.tip_adapter_f import TipAdapterFConfig
from gist_ray.methods.tip_adapter_f import fit as fit_trained
from gist_ray.methods.zero_shot_best_texts import ZeroShotBestTextsConfig
from gist_ray.methods.zero_shot_best_texts import fit as fit_best_texts
from tests.methods.made import LOGIT_SCALE, TEST, TRAIN, problem


def cache(beta: float) -> np.ndarray:
    """The reference's arithmetic: exp(-(beta - beta f.K)) V."""
    affinity = TEST.features.astype(np.float64) @ TRAIN.features.astype(np.float64).T
    return np.exp(-(beta - beta * affinity)) @ np.eye(6)[TRAIN.labels]


def test_logits_are_zero_shot_and_alpha_times_the_cache() -> None:
    head = by_cosine(text_head(problem(), "names"), LOGIT_SCALE).logits(TEST.features)
    for alpha, beta in ((0.0, 1.0), (1.17, 1.0), (5.0, 5.5)):
        config = TipAdapterConfig(alpha=alpha, beta=beta, text_set="names")
        found = fit(problem(), config).logits(TEST.features)
        np.testing.assert_allclose(found, head + alpha * cache(beta), rtol=1e-5, atol=1e-5)


def test_a_sharp_cache_that_counts_alone_is_the_nearest_neighbour() -> None:
    images = TEST.features.astype(np.float64)
    found = fit(problem(), TipAdapterConfig(alpha=1e250, beta=700.0)).logits(images)
    nearest = TRAIN.labels[(images @ TRAIN.features.T).argmax(axis=1)]
    np.testing.assert_array_equal(found.argmax(axis=1), nearest)


def test_over_best_texts_it_is_the_same_sum() -> None:
    texts = fit_best_texts(problem(), ZeroShotBestTextsConfig(m=2)).logits(TEST.features)
    found = fit_over_best_texts(problem(), TipAdapterBestTextsConfig(m=2, alpha=3.0, beta=2.0))
    np.testing.assert_allclose(
        found.logits(TEST.features), texts + 3 * cache(2.0), rtol=1e-5, atol=1e-5
    )


def test_training_moves_the_keys_and_fits_the_images_better() -> None:
    config = TipAdapterFConfig(alpha=3.0, beta=3.0)
    still, trained = fit(problem(), config), fit_trained(problem(), config)
    assert (still.keys == TRAIN.features).all()
    # 20 steps of AdamW with a cosine from 1e-3
    moved = np.abs(trained.keys - still.keys).max()
    assert 0.005 < moved < 0.011

    def loss(logits: np.ndarray) -> float:
        own = logits[np.arange(len(TRAIN.labels)), TRAIN.labels]
        return float((np.log(np.exp(logits).sum(axis=1)) - own).mean())

    before, after = (loss(one.logits(TRAIN.features)) for one in (still, trained))
    assert after < before
