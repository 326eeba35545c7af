import multiprocessing
import os

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from gist_ray.encoders.config import EmbedConfig
from gist_ray.errors import UserError
from gist_ray.finetune.pairs import EpochBatches, PairDataset, PairLoader
from gist_ray.finetune.selection import embed_uris
from gist_ray.images.decode import ImageError
from gist_ray.images.limits import ImageLimits

FIRST_EPOCH, SECOND_EPOCH = 0, 1


def dataset_of(clip, pairs, config, *, seed=3, limits=None) -> PairDataset:
    return PairDataset(
        pairs,
        config,
        tokenizer=clip.tokenizer,
        preprocess=clip.preprocess,
        seed=seed,
        limits=limits or ImageLimits(),
    )


def batches_of(epoch: int, *, num_rows=23, size=8, seed=1, rank=0, workers=1) -> list[list[int]]:
    batches = EpochBatches(num_rows, size, seed=seed, rank=rank, world_size=workers)
    batches.epoch = epoch
    visits = list(batches)
    assert len(visits) == len(batches)
    assert all(visit[0] == epoch for batch in visits for visit in batch)
    return [[row for _, row in batch] for batch in visits]


def test_an_epoch_visits_no_row_twice_and_epochs_differ():
    first = batches_of(FIRST_EPOCH)
    assert [len(batch) for batch in first] == [8, 8]
    rows = [row for batch in first for row in batch]
    assert len(set(rows)) == 16
    assert set(rows) <= set(range(23))
    assert batches_of(FIRST_EPOCH) == first
    assert batches_of(SECOND_EPOCH) != first
    assert batches_of(FIRST_EPOCH, seed=2) != first
    # the rows left over are others each time, so that all are visited
    seen = {row for epoch in range(10) for batch in batches_of(epoch) for row in batch}
    assert seen == set(range(23))


@pytest.mark.parametrize("workers", [2, 4])
def test_the_shares_of_the_workers_make_up_the_batch(workers):
    shares = [batches_of(SECOND_EPOCH, rank=rank, workers=workers) for rank in range(workers)]
    joined = [[row for share in step for row in share] for step in zip(*shares, strict=True)]
    assert joined == batches_of(SECOND_EPOCH)


def test_a_set_smaller_than_a_batch_is_one_batch_of_equal_shares():
    shares = [batches_of(FIRST_EPOCH, num_rows=7, size=64, rank=rank, workers=2) for rank in (0, 1)]
    assert [len(share[0]) for share in shares] == [3, 3]
    assert len({*shares[0][0], *shares[1][0]}) == 6


def test_a_visit_is_the_same_whoever_makes_it(tiny, pairs, recipe):
    first, second = (dataset_of(tiny, pairs, recipe()) for _ in range(2))
    torch.manual_seed(0)
    for row in (5, 2):
        first[(1, row)]
    torch.manual_seed(99)
    state = torch.get_rng_state()
    for visit in [(0, 0), (1, 2), (7, 15)]:
        image, tokens, label = first[visit]
        again, tokens_again, label_again = second[visit]
        assert torch.equal(image, again)
        assert torch.equal(tokens, tokens_again)
        assert label == label_again == visit[1] % 4
        assert (image.shape, image.dtype) == ((3, 32, 32), torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first[(0, 0)][0], first[(1, 0)][0])
    other = dataset_of(tiny, pairs, recipe(), seed=4)
    assert not torch.equal(first[(0, 0)][0], other[(0, 0)][0])


def test_all_captions_of_an_image_are_drawn_over_the_epochs(tiny, pairs, recipe):
    dataset = dataset_of(tiny, pairs, recipe())
    wanted = {tuple(tiny.tokenizer([c])[0].tolist()) for c in dataset.captions[4]}
    drawn = [tuple(dataset[(epoch, 4)][1].tolist()) for epoch in range(20)]
    assert set(drawn) == wanted
    assert max(drawn.count(caption) for caption in wanted) < 15


def test_pixels_are_normalised_as_the_model_wants(tiny, pairs, recipe, tmp_path):
    white = tmp_path / "white.png"
    Image.new("RGB", (40, 40), "white").save(white)
    table = pairs.slice(0, 2).set_column(1, "uri", [[str(white), str(white)]])
    dataset = dataset_of(tiny, table, recipe())
    pixels = dataset[(0, 0)][0].mean(dim=(1, 2))
    wanted = (1 - np.array(tiny.preprocess.mean)) / np.array(tiny.preprocess.std)
    assert np.allclose(pixels, wanted, atol=1e-5)


def test_small_pictures_are_kept_decoded_and_give_the_same_pixels(tiny, pairs, recipe, tmp_path):
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    Image.new("RGB", (40, 40), "red").save(small)
    Image.new("RGB", (500, 500), "blue").save(large)  # 0.72 MiB decoded, half of the cache is 0.5
    table = pairs.slice(0, 2).set_column(1, "uri", [[str(small), str(large)]])
    dataset = dataset_of(tiny, table, recipe(cache_mib=1))
    uncached = dataset_of(tiny, table, recipe(cache_mib=0))
    for visit in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert torch.equal(dataset[visit][0], uncached[visit][0])
    assert isinstance(dataset.cache[0], Image.Image)
    assert dataset.cache[1] == large.read_bytes()
    assert dataset.cache_bytes_left == 2**20 - 40 * 40 * 3 - large.stat().st_size


def test_pictures_are_read_once_as_far_as_the_cache_reaches(tiny, pairs, recipe, tmp_path):
    copy = tmp_path / "copy.png"
    Image.new("RGB", (40, 40), "red").save(copy)
    table = pairs.slice(0, 2).set_column(1, "uri", [[str(copy), str(copy)]])
    cached = dataset_of(tiny, table, recipe())
    uncached = dataset_of(tiny, table, recipe(cache_mib=0))
    wanted = cached[(0, 0)][0]
    assert torch.equal(uncached[(0, 0)][0], wanted)
    copy.unlink()
    assert torch.equal(cached[(0, 0)][0], wanted)
    with pytest.raises(UserError, match=r"copy\.png: a training image cannot be read \(missing"):
        uncached[(0, 0)]


@pytest.mark.slow
def test_loader_processes_bring_the_same_batches(tiny, pairs, recipe):
    """Started once, they serve every epoch."""
    dataset = dataset_of(tiny, pairs, recipe())
    alone = PairLoader(dataset, recipe())
    with_processes = PairLoader(dataset, recipe(loader_processes=1))
    for epoch in (0, 1):
        ours = list(alone.batches(epoch, torch.device("cpu")))
        theirs = list(with_processes.batches(epoch, torch.device("cpu")))
        assert len(ours) == len(theirs) == 2
        for one, other in zip(ours, theirs, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    # forked from a process that imports torch once for all of them, not spawned by this one
    (reader,) = multiprocessing.active_children()
    assert psutil.Process(reader.pid).ppid() != os.getpid()


def test_the_pictures_that_are_read_are_those_of_the_configured_limits(
    tiny, pairs, recipe, tmp_path
):
    """Those that embedding reads: in training, in validation, and one pixel more in neither."""
    large = tmp_path / "large.png"
    Image.new("RGB", (40, 40), "white").save(large)
    with large.open("r+b") as file:
        file.truncate(65 * 2**20)
    uris = [str(large)] * 2
    table = pairs.slice(0, 2).set_column(1, "uri", [uris])

    def trained(**limits):
        config = recipe(cache_mib=0)
        return dataset_of(tiny, table, config, limits=EmbedConfig(**limits).limits)[(0, 0)]

    assert trained(max_image_mib=65, max_image_pixels=1600)[0].shape == (3, 32, 32)
    assert len(embed_uris(tiny, uris, EmbedConfig(max_image_mib=65).limits)) == 2
    for limits in ({"max_image_mib": 64.9}, {"max_image_mib": 65, "max_image_pixels": 1599}):
        with pytest.raises(UserError, match="too_large"):
            trained(**limits)
        with pytest.raises(ImageError, match="at most"):
            embed_uris(tiny, uris, EmbedConfig(**limits).limits)
