"""Scores of a CLIP on val only, by which the best epoch is chosen."""

import numpy as np
import pyarrow as pa
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from gist_ray.encoders.clip import Clip, embed_images, embed_texts, to_pixels
from gist_ray.images.decode import decode, fetch
from gist_ray.images.limits import ImageLimits

# L2-normalised features are small; without this a regularised classifier stays near uniform.
FEATURE_SCALE = 10.0
BATCH_SIZE = 256


def validation_sample(images: pa.Table, *, num_images: int, seed: int) -> pa.Table:
    """Returns at most `num_images` rows of `images` in their order, or one of each class if that
    is more.

    images: a table with label, null where there is none, which counts as a class. Class counts
    differ by at most one as far as the classes have images. A table that is not larger comes back
    as it is. The same seed gives the same rows.
    """
    labels = images.column("label").fill_null(-1).to_numpy()
    num_images = max(num_images, len(np.unique(labels)))
    if len(labels) <= num_images:
        return images
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    in_class = labels[by_class]
    turn = np.arange(len(labels)) - np.searchsorted(in_class, in_class)
    chosen = by_class[np.argsort(turn, kind="stable")[:num_images]]
    return images.take(np.sort(chosen))


def probe_score(clip: Clip, train: pa.Table, val: pa.Table, *, limits: ImageLimits) -> float:
    """Returns minus the log-loss on val of a logistic regression (C=1) fitted on the training
    images.

    train, val: tables with uri and label. The log-loss tells epochs apart where the accuracy of a
    few val images cannot (our choice).
    """
    features = FEATURE_SCALE * embed_uris(clip, train.column("uri").to_pylist(), limits)
    labels = train.column("label").to_numpy()
    probe = LogisticRegression(C=1.0, max_iter=1000).fit(features, labels)
    val_labels = val.column("label").to_numpy()
    known = np.isin(val_labels, probe.classes_)
    val_uris = val.filter(pa.array(known)).column("uri").to_pylist()
    probabilities = probe.predict_proba(FEATURE_SCALE * embed_uris(clip, val_uris, limits))
    return -float(log_loss(val_labels[known], probabilities, labels=probe.classes_))


def retrieval_score(clip: Clip, val: pa.Table, *, limits: ImageLimits) -> float:
    """Returns the share of val pictures whose own first caption is nearest among all val captions.

    val: a PAIRS table.
    """
    images = embed_uris(clip, val.column("uri").to_pylist(), limits)
    captions = [captions[0] for captions in val.column("captions").to_pylist()]
    texts = np.concatenate(
        [
            embed_texts(clip, captions[at : at + BATCH_SIZE])
            for at in range(0, len(captions), BATCH_SIZE)
        ]
    )
    nearest = (images @ texts.T).argmax(axis=1)
    return float(
        np.mean([captions[near] == own for near, own in zip(nearest, captions, strict=True)])
    )


def embed_uris(clip: Clip, uris: list[str], limits: ImageLimits) -> np.ndarray:
    """Returns features of image files, (len(uris), dim). Raises ImageError."""
    transform = to_pixels(clip.preprocess)

    def pixels(uri: str) -> np.ndarray:
        image = decode(
            fetch(uri, limits.max_bytes), limits.max_image_pixels, white_level=limits.white_level
        )
        return np.asarray(transform(image))

    batches = [uris[at : at + BATCH_SIZE] for at in range(0, len(uris), BATCH_SIZE)]
    return np.concatenate([embed_images(clip, np.stack([pixels(u) for u in b])) for b in batches])
