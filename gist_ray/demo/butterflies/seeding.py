"""Independent random streams, one for each purpose."""

import random

from gist_ray.schema import stable_id


def derived_seed(*purpose: object) -> int:
    """Returns a seed of 63 bits (it fits an int64 column) that depends only on `purpose`.

    Different purposes, such as two splits or two worlds, have different streams. A stream does not
    depend on earlier draws, so workers can make the parts of a world in any order.
    """
    return int(stable_id(*purpose), 16) >> 1


def stream(*purpose: object) -> random.Random:
    return random.Random(derived_seed(*purpose))
