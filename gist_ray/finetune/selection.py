"""How good a training is so far, on val only: what the best epoch is chosen by."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from gist_ray.encoders.clip import Clip, embed_images, embed_texts, to_pixels
from gist_ray.encoders.images import decode, fetch
from gist_ray.errors import UserError
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.finetune.pairs import MAX_IMAGE_BYTES, MAX_IMAGE_PIXELS

# L2-normalised features are small; without this a regularised classifier stays near uniform.
FEATURE_SCALE = 10.0
BATCH_SIZE = 256


def check_pairs(pairs: pa.Table, val: pa.Table, config: FinetuneConfig, stage: str) -> None:
    """Raise UserError where `config` cannot train on these PAIRS tables or choose by `val`."""
    problems = []
    if len(pairs) < max(2, config.num_workers):
        problems.append(
            f"{stage}: {len(pairs)} training pairs for finetune.num_workers={config.num_workers}; "
            "a contrast needs at least 2, and each worker 1."
        )
    by = f"{stage}: finetune.select_by={config.select_by}"
    if config.select_by != "last" and len(val) == 0:
        problems.append(
            f"{by} needs images of the val split and there are none. Give the data set a val split "
            "or set finetune.select_by=last."
        )
    elif (
        config.select_by == "retrieval"
        and pc.min(pc.list_value_length(val["captions"])).as_py() < 1
    ):
        problems.append(
            f"{by} needs a caption of every val image, and some have none. Set "
            "finetune.select_by=probe or last."
        )
    elif config.select_by == "probe":
        trained = pc.unique(pairs["label"].drop_null())
        known = pc.sum(pc.is_in(val["label"].drop_null(), value_set=trained)).as_py() or 0
        if pairs["label"].null_count or len(trained) < 2 or not known:
            problems.append(
                f"{by} needs a label on every training pair, at least 2 classes and val images of "
                f"them; there are {pairs['label'].null_count} pairs without a label, "
                f"{len(trained)} classes and {known} such val images. Set finetune.select_by=last."
            )
    if problems:
        raise UserError(problems)


def probe_score(clip: Clip, train: pa.Table, val: pa.Table) -> float:
    """Minus the log-loss on val of a logistic regression (C=1) fitted on the training images.

    train, val: tables with uri and label. The log-loss tells epochs apart where the accuracy of a
    few val images cannot (our choice).
    """
    features = FEATURE_SCALE * embed_uris(clip, train.column("uri").to_pylist())
    labels = train.column("label").to_numpy()
    probe = LogisticRegression(C=1.0, max_iter=1000).fit(features, labels)
    val_labels = val.column("label").to_numpy()
    known = np.isin(val_labels, probe.classes_)
    probabilities = probe.predict_proba(
        FEATURE_SCALE * embed_uris(clip, val.filter(pa.array(known)).column("uri").to_pylist())
    )
    return -float(log_loss(val_labels[known], probabilities, labels=probe.classes_))


def retrieval_score(clip: Clip, val: pa.Table) -> float:
    """Share of val pictures whose own first caption is nearest among all val captions.

    val: a PAIRS table.
    """
    images = embed_uris(clip, val.column("uri").to_pylist())
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


def embed_uris(clip: Clip, uris: list[str]) -> np.ndarray:
    """Features of image files, (len(uris), dim), in this process."""
    transform = to_pixels(clip.preprocess)

    def pixels(uri: str) -> np.ndarray:
        return np.asarray(transform(decode(fetch(uri, MAX_IMAGE_BYTES), MAX_IMAGE_PIXELS)))

    batches = [uris[at : at + BATCH_SIZE] for at in range(0, len(uris), BATCH_SIZE)]
    return np.concatenate([embed_images(clip, np.stack([pixels(u) for u in b])) for b in batches])
