"""How many trials run at once."""

import pytest

from gist_ray.sweep.capacity import BESIDE_ENCODER_CPUS, LEADER_CPUS, Need, num_fitting


def need(num_workers: int = 1, cpus: float = 1, gpus: float = 0, encoder_cpus: float = 1) -> Need:
    return Need(num_workers, cpus, gpus, encoder_cpus, gpus and 0.5)


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
