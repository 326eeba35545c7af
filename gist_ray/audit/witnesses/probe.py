"""The first witness: a linear probe that did not see the image, judged by cleanlab.

Confident learning (https://arxiv.org/abs/1911.00068) with out-of-fold probabilities: the score of
an image is one minus the probability of its label, and the number of wrong labels is estimated from
the classes' mean confidences (cleanlab's LabelInspector, which takes the images in blocks). The
probe is `methods.linear_probe` with C = 1, since no image is kept aside to choose C. With 5 % of
wrong labels in the worlds 7 and 11, C = 0.01 found fewer of them, and C = 0.1 about as many.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from cleanlab.experimental.label_issues_batched import LabelInspector
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from gist_ray.matching.vectors import Vectors
from gist_ray.methods.base.features import read_split, read_split_in_blocks
from gist_ray.methods.base.linear_classifier import LinearClassifier
from gist_ray.methods.base.predictions import probabilities_of
from gist_ray.methods.base.problem import Problem, Split
from gist_ray.methods.linear_probe import LinearProbeConfig, fit
from gist_ray.schema import TESTIMONY


@dataclass(frozen=True)
class Judged:
    """What the probe says.

    testimony: TESTIMONY. num_issues: cleanlab's estimate of the number of wrong labels. wins:
    (num_classes, num_classes) int64, how many images of the class of the row get a higher
    probability for it than for the class of the column; its diagonal holds the numbers of images.
    """

    testimony: pa.Table
    num_issues: int
    wins: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Folds:
    """How the probe is fitted. max_images: of each fold's probe."""

    num_folds: int
    max_images: int
    seed: int


def judge(images: pa.Table, vectors: Vectors, num_classes: int, *, folds: Folds) -> Judged:
    """Returns the probe's view of the labelled images of a MANIFEST that have an embedding."""
    fold_of = _fold_of(images, folds)
    probes = _probes(images, vectors, num_classes, folds=folds, fold_of=fold_of)
    inspector = LabelInspector(
        num_class=num_classes,
        verbose=False,
        n_jobs=1,
        quality_score_kwargs={"method": "self_confidence", "adjust_pred_probs": False},
    )
    for split, probabilities in _out_of_fold(images, vectors, probes, fold_of):
        inspector.update_confident_thresholds(split.labels, probabilities)
    wins = np.zeros((num_classes, num_classes), np.int64)
    tables = []
    for split, probabilities in _out_of_fold(images, vectors, probes, fold_of):
        quality = inspector.score_label_quality(split.labels, probabilities)
        own = probabilities[np.arange(len(split.labels)), split.labels]
        higher = probabilities < own[:, None]
        higher[np.arange(len(split.labels)), split.labels] = True
        for label in np.unique(split.labels):
            wins[label] += higher[split.labels == label].sum(axis=0)
        columns = [
            split.image_ids,
            pa.array(1 - quality, pa.float32()),
            pa.array(probabilities.argmax(axis=1), pa.int32()),
        ]
        tables.append(pa.table(columns, schema=TESTIMONY))
    return Judged(pa.concat_tables(tables), int(inspector.get_num_issues(silent=True)), wins)


def _fold_of(images: pa.Table, folds: Folds) -> dict[str, int]:
    """Returns {image_id: its fold}: stratified by label, images of a group in one fold."""
    labels, groups = images["label"].to_numpy(), images["group"]
    ids = images["image_id"].to_pylist()
    kind = StratifiedKFold if groups.null_count == len(groups) else StratifiedGroupKFold
    units = [group or f"\0{one}" for group, one in zip(groups.to_pylist(), ids, strict=True)]
    # a class may have fewer images than there are folds, but not every one
    most = int(np.bincount(labels).max())
    number = max(2, min(folds.num_folds, most, len(set(units))))
    cut = kind(number, shuffle=True, random_state=folds.seed)
    found = np.zeros(len(ids), int)
    with warnings.catch_warnings():
        # of classes with fewer images than folds, and of groups that the first kind ignores
        warnings.simplefilter("ignore", UserWarning)
        for fold, (_, places) in enumerate(cut.split(labels, labels, units)):
            found[places] = fold
    return dict(zip(ids, found.tolist(), strict=True))


def _probes(
    images: pa.Table,
    vectors: Vectors,
    num_classes: int,
    *,
    folds: Folds,
    fold_of: dict[str, int],
) -> Sequence[LinearClassifier]:
    """Returns the probe of each fold, fitted on images of the others."""
    of_row = np.array([fold_of[one] for one in images["image_id"].to_pylist()])
    rng = np.random.default_rng(folds.seed)
    probes = []
    for fold in range(of_row.max() + 1):
        places = np.flatnonzero(of_row != fold)
        if len(places) > folds.max_images:
            places = np.sort(rng.choice(places, folds.max_images, replace=False))
        train = read_split(images.take(pa.array(places)), vectors)
        problem = Problem(train, Split.none(), num_classes, logit_scale=1.0, seed=folds.seed)
        probes.append(fit(problem, LinearProbeConfig()))
    return probes


def _out_of_fold(
    images: pa.Table,
    vectors: Vectors,
    probes: Sequence[LinearClassifier],
    fold_of: dict[str, int],
) -> Iterator[tuple[Split, np.ndarray]]:
    """Yields blocks of images and their probabilities (num_images, num_classes) by the probe of
    their fold."""
    for _, split in read_split_in_blocks(images, vectors):
        of_row = np.array([fold_of[one] for one in split.image_ids.to_pylist()])
        probabilities = np.empty((len(of_row), len(probes[0].bias)))
        for fold, probe in enumerate(probes):
            mine = of_row == fold
            probabilities[mine] = probabilities_of(probe, split.features[mine])
        yield split, probabilities
