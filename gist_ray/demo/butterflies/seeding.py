"""Independent random streams: one per purpose, derived from what it is for."""

import random

from gist_ray.schema import stable_id


def derived_seed(*purpose: object) -> int:
    """A seed of 63 bits (it fits an int64 column) that only `purpose` decides.

    Two purposes, such as two splits or two worlds, never share a stream, and a stream does not
    depend on what was drawn before it, so that any part can be made by any worker in any order.
    """
    return int(stable_id(*purpose), 16) >> 1


def stream(*purpose: object) -> random.Random:
    return random.Random(derived_seed(*purpose))
