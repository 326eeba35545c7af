import errno
import os

from gist_ray.errors import causes, full_disk


class RayError(Exception):
    """As Ray wraps what a worker raised, several layers deep."""

    def __init__(self, **layers: object) -> None:
        super().__init__("a task failed")
        self.__dict__.update(layers)


def test_a_full_disk_is_found_behind_what_ray_makes_of_it() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/root/part.parquet")
    of_task = RayError(cause=full)
    of_training = RayError(worker_failures={0: RuntimeError("other"), 1: of_task})
    for error in (full, of_task, of_training, RayError(controller_failure=of_task)):
        problem = full_disk(error)
        assert problem is not None
        start = (
            "The disk is full (No space left on device: /data/root/part.parquet). What is stored"
        )
        assert str(problem).startswith(start)


def test_a_remark_in_the_place_of_the_files_name_is_left_out() -> None:
    error = OSError(errno.ENOSPC, "No space left on device: /data/a", "Failed to apply UDF")
    assert str(full_disk(error)).startswith("The disk is full (No space left on device: /data/a).")


def test_other_errors_are_not_a_full_disk() -> None:
    assert full_disk(RayError(cause=PermissionError(errno.EACCES, "no", "/data"))) is None
    assert full_disk(RayError()) is None


def test_a_circle_of_causes_ends() -> None:
    first, second = RayError(), RayError()
    first.__cause__, second.__cause__ = second, first
    assert list(causes(first)) == [first, second]
