"""How many trials run at once."""

from types import SimpleNamespace

import pytest

from gist_ray.encoders.config import EmbedConfig
from gist_ray.finetune.config import FinetuneConfig
from gist_ray.sweep.capacity import BESIDE_ENCODER_CPUS, LEADER_CPUS, Need, need_of, num_fitting


def need(num_workers: int = 1, cpus: float = 1, gpus: float = 0, encoder_cpus: float = 1) -> Need:
    return Need(num_workers, cpus, gpus, encoder_cpus, gpus and 0.5)


def warm(cpus: float) -> Need:
    """Of trials whose trainings all run in warm workers."""
    return Need(0, 0, 0, 1, 0, warm_cpus=cpus)


def test_a_warm_worker_is_held_beside_an_embedding_on_ray_data() -> None:
    assert warm(2).leader_cpus == pytest.approx(LEADER_CPUS + 2)
    assert warm(2).cpus == pytest.approx(LEADER_CPUS + 2 + 1 + BESIDE_ENCODER_CPUS)
    assert warm(2).training_cpus == 2
    assert num_fitting(warm(2), [(9.1, 0)]) == 2
    assert num_fitting(warm(2), [(8.9, 0)]) == 1


def test_a_leader_and_its_warm_worker_are_on_one_machine() -> None:
    # 18 CPUs, of which each machine has enough for one warm worker
    assert num_fitting(warm(4), [(6, 0), (6, 0), (6, 0)]) == 2
    assert num_fitting(warm(6.5), [(6, 0), (6, 0), (6, 0)]) == 0


def test_the_kinds_of_trainings_of_a_sweep_are_counted_apart() -> None:
    def config(**options: int) -> SimpleNamespace:
        tune = FinetuneConfig(num_steps=1, **options)
        return SimpleNamespace(finetune=tune, embed=EmbedConfig())

    one, two = config(cpus_per_worker=3), config(num_workers=2)
    assert need_of([one]) == Need(0, 0, 0, 1, 0, warm_cpus=3)
    assert need_of([two]) == Need(2, 1, 0, 1, 0)
    assert need_of([one, two]) == Need(2, 1, 0, 1, 0, warm_cpus=3)


def test_a_trial_is_counted_with_the_larger_of_its_training_and_its_embedding() -> None:
    assert need().cpus == pytest.approx(1 + BESIDE_ENCODER_CPUS + LEADER_CPUS)
    assert need(num_workers=4, cpus=2).cpus == pytest.approx(8 + LEADER_CPUS)


def test_whole_trials_fit_and_no_part_of_one() -> None:
    assert num_fitting(need(num_workers=2, cpus=4), [(16.1, 0)]) == 2
    assert num_fitting(need(num_workers=2, cpus=4), [(15.9, 0)]) == 1
    assert num_fitting(need(num_workers=2, cpus=4), [(7, 0)]) == 0


def test_a_worker_is_on_one_machine_and_its_group_on_any() -> None:
    # 18 CPUs, of which 12 are of use to workers of 4
    assert num_fitting(need(num_workers=3, cpus=4), [(6, 0), (6, 0), (6, 0)]) == 1
    assert num_fitting(need(num_workers=4, cpus=4), [(6, 0), (6, 0), (6, 0)]) == 0


@pytest.mark.parametrize(("share", "num"), [(1, 2), (0.5, 4), (0.1, 4)])
def test_fractions_of_gpus_are_shared(share: float, num: int) -> None:
    """The encoder wants half a GPU."""
    assert num_fitting(need(gpus=share), [(64, 2)]) == num


def test_a_fraction_that_is_no_binary_one_still_divides() -> None:
    small = Need(1, 1, 0.1, 1, 0.1)
    assert num_fitting(small, [(64, 1)]) == 10
