import numpy as np

from gist_ray.methods.base.class_mean import class_means
from gist_ray.methods.pruned_texts import PrunedTextsConfig, channel_mask, fit
from tests.methods.made import CLASS_TEXTS, problem


def test_the_mask_follows_the_reference_on_a_small_table() -> None:
    features = np.array([[0.9, 0.1, -0.4], [0.8, 0.0, 0.6], [0.0, 1.0, 0.1], [0.1, -0.9, 0.1]])
    labels = np.array([0, 0, 1, 1])
    off = features - features.mean()
    limit = 0.5 * features.std(ddof=1)
    signs = np.where(off > limit, 1, np.where(off < -limit, -1, 0))
    sizes = np.abs([signs[:2].mean(axis=0), signs[2:].mean(axis=0)])
    shares = np.exp(sizes) / np.exp(sizes).sum(axis=0)
    mask = shares / np.linalg.norm(shares, axis=1, keepdims=True)
    wanted = np.where(mask > np.quantile(mask, 0.5), 1.0, mask)
    found = channel_mask(
        features, labels, num_classes=2, config=PrunedTextsConfig(deviations=0.5, rate=0.5)
    )
    np.testing.assert_allclose(found, wanted)
    assert 0 < (found == 1).sum() < found.size


def test_with_every_channel_alike_it_is_the_mean_of_the_texts() -> None:
    """No channel is so far off that it counts, so the mask is even."""
    found = fit(problem(), PrunedTextsConfig(deviations=100.0, rate=1.0))
    rows = CLASS_TEXTS.features.astype(np.float64)
    np.testing.assert_allclose(found.weight, class_means(rows, CLASS_TEXTS.labels, 6), atol=1e-12)
