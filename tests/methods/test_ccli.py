from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gist_ray.evaluation.predictions import read_predictions
from gist_ray.methods import METHODS
from gist_ray.methods.base.linear_classifier import by_cosine
from gist_ray.methods.base.predictions import accuracy_and_loss, predict_split
from gist_ray.methods.base.problem import Split, TextSet
from gist_ray.methods.base.stored import load_classifier, save_classifier
from gist_ray.methods.base.text_head import text_head
from gist_ray.methods.ccli import (
    METHOD,
    VAL,
    CcliClassifier,
    CcliConfig,
    CcliValConfig,
    fit,
    fit_on_val,
)
from gist_ray.methods.stage import fit_stage, predict_stage
from gist_ray.store.artifacts import ArtifactStore
from tests.methods.made import (
    CLASS_TEXTS,
    CONCEPTS,
    LOGIT_SCALE,
    TEST,
    TRAIN,
    problem,
    ran,
    stages,
    unit,
)
from tests.methods.made import (
    VAL as VAL_IMAGES,
)

CONFIG = CcliConfig(floor=0.0)


def test_without_the_network_it_is_zero_shot() -> None:
    zero_shot = by_cosine(text_head(problem(), "class"), LOGIT_SCALE)
    found = fit(problem(), replace(CONFIG, alpha=0.0)).logits(TEST.features)
    np.testing.assert_allclose(found, zero_shot.logits(TEST.features), atol=1e-4)


def test_the_untrained_network_holds_the_mean_representation_of_each_class() -> None:
    made = fit(problem(), replace(CONFIG, num_epochs=0))
    rows = made.representation(TRAIN.features)
    expected = np.stack([rows[TRAIN.labels == label].mean(axis=0) for label in range(6)])
    np.testing.assert_allclose(made.network, expected, atol=1e-5)
    # without zero-shot it tells the classes apart by concepts alone
    alone = replace(made, logit_scale=0.0)
    assert accuracy_and_loss(alone, TEST)[0] > 0.6


def test_training_lowers_the_loss_and_is_the_same_each_time() -> None:
    before = fit(problem(), replace(CONFIG, num_epochs=0))
    after, again = fit(problem(), CONFIG), fit(problem(), CONFIG)
    assert accuracy_and_loss(after, TRAIN)[1] < accuracy_and_loss(before, TRAIN)[1]
    np.testing.assert_array_equal(after.network, again.network)


def test_its_seed_orders_the_batches() -> None:
    small = replace(CONFIG, batch_size=4)
    one, other = (fit(problem(seed=seed), small) for seed in (1, 2))
    assert not np.array_equal(one.network, other.network)


def test_another_order_of_the_concepts_gives_the_same_logits() -> None:
    order = np.random.default_rng(0).permutation(len(CONCEPTS.texts))
    texts = TextSet([CONCEPTS.texts[i] for i in order], CONCEPTS.features[order], CONCEPTS.labels)
    given = problem()
    other = problem(texts={**given.texts, "concepts": texts})
    one, same = (fit(p, replace(CONFIG, max_cosine=1.0)) for p in (given, other))
    np.testing.assert_allclose(
        one.logits(TEST.features), same.logits(TEST.features), rtol=1e-3, atol=1e-3
    )


def test_logits_in_blocks_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fit(problem(), CONFIG)
    whole = made.logits(TEST.features)
    explained = made.explain(TEST.features, TEST.labels)
    monkeypatch.setattr(
        "gist_ray.methods.base.concept_space.BLOCK_BYTES", 7 * 8 * len(made.concepts)
    )
    np.testing.assert_allclose(made.logits(TEST.features), whole, atol=1e-4)
    in_blocks = made.explain(TEST.features, TEST.labels)
    assert [[c for c, _ in one] for one in in_blocks] == [[c for c, _ in one] for one in explained]


def test_val_chooses_from_the_grid_what_is_best_on_val() -> None:
    config = CcliValConfig(floor=0.0, nums_images=[2, 90], betas=[3.0], alphas=[0.0, 1e4])
    labels = TRAIN.labels
    # texts of the wrong classes: only the images know
    wrong = replace(CLASS_TEXTS, labels=(CLASS_TEXTS.labels + 1) % 6)
    texts = {**problem().texts, "class": wrong}
    by_images = fit_on_val(problem(texts=texts), config)
    assert (by_images.alpha, by_images.beta) == (1e4, 3.0)
    # labels of the wrong classes: only the texts know
    shifted = replace(TRAIN, labels=(labels + 1) % 6)
    assert fit_on_val(problem(train=shifted), config).alpha == 0.0


def test_the_concepts_of_a_class_explain_it_and_their_shares_add_up_to_one() -> None:
    """Class 0 has what concept "stripes" says, class 1 "spots"; the images show nothing else."""
    axes = np.eye(4, dtype=np.float32)
    labels = np.repeat([0, 1], 6)
    noise = 0.05 * np.random.default_rng(1).normal(size=(12, 4))
    images = Split(pa.array([str(n) for n in range(12)]), unit(axes[labels] + noise), labels)
    nothing = np.full(2, -1)
    given = problem(
        train=images,
        num_classes=2,
        texts={
            "class": TextSet(["a", "b"], axes[[2, 3]], np.arange(2)),
            "concepts": TextSet(["stripes", "spots"], axes[:2], nothing),
        },
    )
    made = fit(given, replace(CONFIG, num_images=3))
    explained = made.explain(images.features, labels)
    assert {one[0][0] for one in explained[:6]} == {"stripes"}
    assert {one[0][0] for one in explained[6:]} == {"spots"}
    for one in explained:
        assert sum(share for _, share in one) == pytest.approx(1)
        assert min(share for _, share in one) > 0
    # nothing that the image shows speaks for the other class
    assert made.explain(images.features[:1], np.array([1])) == [[]]


def test_predictions_are_explained_by_it(tmp_path: Path) -> None:
    made = fit(problem(), CONFIG)
    found = predict_split(made, TEST, CLASS_TEXTS)
    predicted = found.column("predicted").to_numpy()
    for said, own in zip(
        found.column("explanation").to_pylist(),
        made.explain(TEST.features, predicted),
        strict=True,
    ):
        assert said == (", ".join(f"{name} ({share:.2f})" for name, share in own) or None)
    assert found.column("explanation").null_count < len(found)


def test_it_is_stored_whole(tmp_path: Path) -> None:
    made, uri = fit(problem(), CONFIG), str(tmp_path / "classifier.safetensors")
    save_classifier(made, uri)
    read = load_classifier(uri, CcliClassifier)
    np.testing.assert_array_equal(read.logits(TEST.features), made.logits(TEST.features))
    assert isinstance(read, CcliClassifier)
    assert read.explain(TEST.features, TEST.labels) == made.explain(TEST.features, TEST.labels)


def test_its_stages_read_concepts_that_have_no_class(tmp_path: Path) -> None:
    held = stages({"train": TRAIN, "val": VAL_IMAGES, "test": TEST})
    fit_it = fit_stage("fit", VAL, VAL.config(floor=0.0), inputs=held, seed=1)
    inputs = {
        name: held[name]
        for name in ("manifest", "image_embeddings", "texts class", "text_embeddings class")
    }
    predict = predict_stage("predict", VAL, inputs | {"classifier": fit_it})
    done = ran(ArtifactStore(str(tmp_path)), predict)
    rows = read_predictions(done["predict"].artifact, "test").to_pylist()
    assert {row["explanation"].split(" (")[0] for row in rows if row["explanation"]} <= set(
        CONCEPTS.texts
    )
    assert sum(row["predicted"] == row["label"] for row in rows) > 40


def test_both_forms_are_methods() -> None:
    assert METHODS["ccli"] is METHOD
    assert METHODS["ccli_val"].label == "CCLI-R (val)"
