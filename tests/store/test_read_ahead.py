import threading
from functools import partial

import pytest

from gist_ray.store.read_ahead import read_ahead


def test_results_come_in_the_order_of_the_reads_whatever_order_they_end_in() -> None:
    second_is_done = threading.Event()

    def first() -> int:
        assert second_is_done.wait(60)
        return 1

    def second() -> int:
        second_is_done.set()
        return 2

    assert list(read_ahead([first, second, lambda: 3], at_once=2)) == [1, 2, 3]


def test_no_more_are_begun_than_are_to_be_held() -> None:
    begun = []
    results = read_ahead((partial(begun.append, number) for number in range(20)), at_once=2)
    next(results)
    assert len(begun) <= 3
    results.close()
    assert len(begun) <= 3


def test_the_first_failure_is_raised() -> None:
    def fails() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(read_ahead([lambda: None, fails]))
