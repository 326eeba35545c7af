import pytest
import torch
from torch.nn import functional

from gist_ray.finetune.loss import Encoded, make_loss, multi_positive_loss

NUM_ROWS, DIM = 8, 5
LABELS = torch.tensor([0, 1, 0, -1, 2, 1, -1, 0])


def features(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(NUM_ROWS, DIM, generator=generator), dim=-1)


@pytest.mark.parametrize("labels", [torch.arange(NUM_ROWS), torch.full((NUM_ROWS,), -1)])
def test_without_shared_classes_multi_positive_is_infonce(labels):
    pairs = Encoded(features(1), features(2), torch.tensor(10.0), labels)
    torch.testing.assert_close(make_loss("multi_positive")(pairs), make_loss("infonce")(pairs))


def test_infonce_is_the_symmetric_cross_entropy_of_the_diagonal():
    images, texts, scale = features(1), features(2), torch.tensor(7.0)
    logits = scale * images @ texts.T
    own = torch.arange(NUM_ROWS)
    wanted = (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(make_loss("infonce")(Encoded(images, texts, scale, LABELS)), wanted)


def test_pairs_of_one_class_are_positives_of_each_other():
    """Two classes whose members share one feature: all that is left of the loss is the spread over
    the class, log 2; as negatives of each other they cannot get below it either, but are pushed
    apart."""
    images = functional.normalize(torch.eye(2).repeat_interleave(2, dim=0), dim=-1)
    texts = images.clone()
    labels = torch.tensor([0, 0, 1, 1])
    scale = torch.tensor(100.0)
    loss = multi_positive_loss(Encoded(images, texts, scale, labels))
    torch.testing.assert_close(loss, torch.log(torch.tensor(2.0)))

    nearly = images.clone()
    nearly[0] = functional.normalize(torch.tensor([1.0, 0.2]), dim=-1)
    moved = {}
    for name in ("infonce", "multi_positive"):
        leaf = texts.clone().requires_grad_()
        make_loss(name)(Encoded(nearly, leaf, torch.tensor(5.0), labels)).backward()
        moved[name] = -float(leaf.grad[1] @ nearly[0])
    # the text of pair 1 moves towards the picture of pair 0, its class mate
    assert moved["multi_positive"] > moved["infonce"]


def test_unlabeled_rows_are_nobodys_positives():
    arguments = (features(1), features(2), torch.tensor(3.0))
    some = Encoded(*arguments, torch.tensor([5, 6, 7, 8, -1, -1, -1, -1]))
    none = Encoded(*arguments, torch.full((NUM_ROWS,), -1))
    torch.testing.assert_close(multi_positive_loss(some), multi_positive_loss(none))
