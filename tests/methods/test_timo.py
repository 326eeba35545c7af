import numpy as np

from gist_ray.methods.base.class_mean import class_means
from gist_ray.methods.base.gaussian import gaussian_weights
from gist_ray.methods.base.linear_classifier import scaled
from gist_ray.methods.base.problem import TextSet
from gist_ray.methods.timo import TimoConfig, fit, guided_texts, text_table
from tests.methods.made import CLASS_TEXTS, LOGIT_SCALE, TEST, TRAIN, problem

TABLE = text_table(CLASS_TEXTS, 6)
PROTOTYPES = class_means(scaled(TRAIN.features, 1.0), TRAIN.labels, 6)
FIT = np.einsum("cd,cpd->cp", PROTOTYPES, TABLE)


def test_texts_are_weighted_by_their_likeness_to_the_images() -> None:
    found = guided_texts(TABLE, FIT, 50.0)
    for label in range(6):
        weights = np.exp(50 * FIT[label] / np.linalg.norm(FIT[label]))
        mean = (weights / weights.sum()) @ TABLE[label]
        np.testing.assert_allclose(found[label], mean / np.linalg.norm(mean))


def test_gamma_zero_is_the_mean_and_a_large_one_the_best_text() -> None:
    np.testing.assert_allclose(
        guided_texts(TABLE, FIT, 0.0), class_means(TABLE.reshape(24, 12), CLASS_TEXTS.labels, 6)
    )
    best = TABLE[np.arange(6), FIT.argmax(axis=1)]
    np.testing.assert_allclose(guided_texts(TABLE, FIT, 1e5), best, atol=1e-6)


def test_texts_as_long_as_they_fit_join_the_gaussians_of_the_images() -> None:
    rows = np.concatenate([(FIT[:, :, None] * TABLE).reshape(24, 12), scaled(TRAIN.features, 1.0)])
    labels = np.concatenate([CLASS_TEXTS.labels, TRAIN.labels])
    weight, bias = gaussian_weights(rows, labels, 6)
    images = scaled(TEST.features, 1.0)
    wanted = 0.5 * LOGIT_SCALE * images @ guided_texts(TABLE, FIT, 50.0).T + images @ weight.T
    found = fit(problem(), TimoConfig(alpha=0.5)).logits(TEST.features)
    np.testing.assert_allclose(found, wanted + bias, atol=1e-9)


def test_every_class_gives_as_many_texts_as_the_one_with_the_fewest() -> None:
    kept = np.arange(24) != 2  # the third text of class 0
    fewer = TextSet([""] * 23, CLASS_TEXTS.features[kept], CLASS_TEXTS.labels[kept])
    table = text_table(fewer, 6)
    assert table.shape == (6, 3, 12)
    np.testing.assert_array_equal(table[1:], TABLE[1:, :3])
    np.testing.assert_array_equal(table[0], TABLE[0, [0, 1, 3]])
