"""Where the rows of a stage are worked on."""

import pytest

from gist_ray.run.placement import RAY_DATA_PROCESSES, START_S, Spread, place

ONE = Spread(rows_per_part=512, max_workers=1)


@pytest.mark.parametrize("num_rows", [0, 1, 512])
def test_one_block_is_never_worth_a_start(num_rows: int) -> None:
    assert place(ONE, num_rows) == "warm worker"
    assert place(ONE, num_rows, seconds_per_row=1e6) == "warm worker"


@pytest.mark.parametrize("num_rows", [None, 513])
def test_more_is_decided_by_what_a_block_costs(num_rows: int | None) -> None:
    assert place(ONE, num_rows) == "by its cost"
    assert place(Spread(rows_per_part=512), num_rows) == "by its cost"


def test_the_rest_moves_once_the_processes_save_more_than_they_take_to_start() -> None:
    saved = 1 - 1 / RAY_DATA_PROCESSES
    assert place(ONE, 1000, seconds_per_row=0.99 * START_S / saved / 1000) == "warm worker"
    assert place(ONE, 1000, seconds_per_row=1.01 * START_S / saved / 1000) == "Ray Data"


@pytest.mark.parametrize("num_rows", [None, 1, 1_000_000])
@pytest.mark.parametrize(
    "spread",
    [
        Spread(rows_per_part=512, gpus=1, max_workers=1),
        Spread(rows_per_part=512, gpus=0.5),
        Spread(rows_per_part=512, max_workers=2),
    ],
)
def test_gpus_and_several_processes_are_of_ray_data(spread: Spread, num_rows: int | None) -> None:
    assert place(spread, num_rows) == "Ray Data"
    assert place(spread, num_rows, seconds_per_row=1e-9) == "Ray Data"
