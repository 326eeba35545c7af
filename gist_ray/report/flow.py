"""The stages of a run as a diagram: one box per group of stages, one line per input."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from gist_ray.report.data import StageRow

WIDTH, BOX_WIDTH, BOX_HEIGHT, ROW_GAP = 900, 276, 66, 26
# boxes beside each other
NUM_LANES = 3


@dataclass(frozen=True)
class Box:
    """All stages of one group at the same place of the diagram."""

    # the words that the names of its stages begin with
    name: str
    rows_in: int
    rows_ok: int
    num_failed: int
    seconds: float
    num_steps: int
    num_stored: int
    x: float
    y: float


@dataclass(frozen=True)
class Flow:
    boxes: list[Box]
    # SVG path data
    edges: list[str]
    height: int


# the group of a box, and the groups that its stages read
Key = tuple[str, frozenset[str]]


def flow(stages: Sequence[StageRow]) -> Flow:
    """Returns the stages laid out from top to bottom.

    Stages of a group share a box unless one depends on the other through other groups: embedding
    with the untrained model is one box, embedding with all tuned models another. A box stands below
    all of its inputs, in the lane of one of them. An input that is also reached through another
    input gets no line.
    """
    inputs_of = _inputs_of_steps(stages)
    groups = _grouped(stages, inputs_of)
    inputs = _inputs_of_groups(groups, inputs_of)
    drawn = _without_implied(inputs)
    places = _places(drawn)
    boxes = {key: _box(groups[key], *places[key]) for key in inputs}
    taken = set(places.values())
    edges = [
        _edge(
            boxes[source],
            boxes[target],
            start=places[source],
            end=places[target],
            taken=taken,
        )
        for target, sources in drawn.items()
        for source in sources
    ]
    num_rows = max((row for row, _ in taken), default=-1) + 1
    height = max(0, num_rows * (BOX_HEIGHT + ROW_GAP) - ROW_GAP + 2)
    return Flow(list(boxes.values()), edges, height)


def _inputs_of_steps(stages: Sequence[StageRow]) -> dict[str, list[str]]:
    """Returns {stage: names of the earlier stages it reads}; a chain if no stage names any."""
    inputs: dict[str, list[str]] = {}
    if any(step.get("inputs") for step in stages):
        for step in stages:
            inputs[step["name"]] = [name for name in step.get("inputs", []) if name in inputs]
        return inputs
    before: list[str] = []
    for last, step in zip([None, *stages], stages, strict=False):
        if last is not None and last["group"] != step["group"]:
            before = [last["name"]]
        inputs[step["name"]] = before
    return inputs


def _grouped(
    stages: Sequence[StageRow], inputs_of: dict[str, list[str]]
) -> dict[Key, list[StageRow]]:
    group_of = {step["name"]: step["group"] for step in stages}
    groups: dict[Key, list[StageRow]] = {}
    for step in stages:
        read = frozenset(group_of[name] for name in inputs_of[step["name"]])
        groups.setdefault((step["group"], read), []).append(step)
    for first, second in combinations(list(groups), 2):
        if first[0] == second[0] and first in groups and second in groups:
            above = _above(_inputs_of_groups(groups, inputs_of))
            if first not in above[second] and second not in above[first]:
                groups[first] += groups.pop(second)
    return groups


def _inputs_of_groups(
    groups: dict[Key, list[StageRow]], inputs_of: dict[str, list[str]]
) -> dict[Key, list[Key]]:
    """Returns {group: groups it reads}, ordered by the last stage of each group.

    Only earlier groups in this order count, so there is no cycle.
    """
    position = {key: place for place, key in enumerate(inputs_of)}
    order = sorted(groups, key=lambda key: max(position[step["name"]] for step in groups[key]))
    group_of = {step["name"]: key for key, steps in groups.items() for step in steps}
    inputs: dict[Key, list[Key]] = {}
    for key in order:
        read = (group_of[name] for step in groups[key] for name in inputs_of[step["name"]])
        inputs[key] = [source for source in dict.fromkeys(read) if source in inputs]
    return inputs


def _above(inputs: dict[Key, list[Key]]) -> dict[Key, set[Key]]:
    """Returns {group: all groups it depends on, directly or not}."""
    above: dict[Key, set[Key]] = {}
    for key, sources in inputs.items():
        above[key] = set(sources).union(*(above[source] for source in sources))
    return above


def _without_implied(inputs: dict[Key, list[Key]]) -> dict[Key, list[Key]]:
    """Returns {group: its inputs}, less those that are also reached through another input."""
    above = _above(inputs)
    return {
        key: [source for source in sources if not any(source in above[o] for o in sources)]
        for key, sources in inputs.items()
    }


def _places(inputs: dict[Key, list[Key]]) -> dict[Key, tuple[int, int]]:
    """Returns the (row, lane) of each group; many groups of one depth take several rows."""
    depths: dict[Key, int] = {}
    for key, sources in inputs.items():
        depths[key] = max((depths[source] for source in sources), default=-1) + 1
    places: dict[Key, tuple[int, int]] = {}
    row = 0
    for depth in sorted(set(depths.values())):
        waiting = [key for key in inputs if depths[key] == depth]
        while waiting:
            here, waiting = waiting[:NUM_LANES], waiting[NUM_LANES:]
            free = list(range(NUM_LANES))
            for key in here:
                lane = _lane_above(inputs[key], places)
                if lane in free:
                    places[key] = row, lane
                    free.remove(lane)
            for key in here:
                if key not in places:
                    places[key] = row, free.pop(0)
            row += 1
    return places


def _lane_above(sources: list[Key], places: dict[Key, tuple[int, int]]) -> int:
    """Returns the lane of the nearest input, the leftmost of several; 0 without inputs."""
    above = [places[key] for key in sources]
    return min(above, key=lambda place: (-place[0], place[1]))[1] if above else 0


def _box(steps: list[StageRow], row: int, lane: int) -> Box:
    return Box(
        name=_common_words([step["name"] for step in steps]) or steps[0]["group"],
        rows_in=sum(step["rows_in"] for step in steps),
        rows_ok=sum(step["rows_ok"] for step in steps),
        num_failed=sum(sum(step["failed"].values()) for step in steps),
        seconds=sum(step["seconds"] for step in steps),
        num_steps=len(steps),
        num_stored=sum(step["cached"] for step in steps),
        x=1 + lane * (WIDTH - 2 - BOX_WIDTH) / (NUM_LANES - 1),
        y=1 + row * (BOX_HEIGHT + ROW_GAP),
    )


def _common_words(names: Sequence[str]) -> str:
    common = []
    for words in zip(*(name.split() for name in names), strict=False):
        if len(set(words)) > 1:
            break
        common.append(words[0])
    return " ".join(common)


def _edge(
    source: Box,
    target: Box,
    *,
    start: tuple[int, int],
    end: tuple[int, int],
    taken: set[tuple[int, int]],
) -> str:
    """Returns the SVG path of a line from box to box that avoids the boxes between them."""
    start_x, start_y = source.x + BOX_WIDTH / 2, source.y + BOX_HEIGHT
    end_x, end_y = target.x + BOX_WIDTH / 2, target.y
    between = range(start[0] + 1, end[0])
    if not between:
        return _curve((start_x, start_y), (end_x, end_y))
    if not any((row, start[1]) in taken for row in between):
        way_x = start_x
    elif not any((row, end[1]) in taken for row in between):
        way_x = end_x
    else:
        gutter = (WIDTH - 2 - NUM_LANES * BOX_WIDTH) / (NUM_LANES - 1)
        left = source.x - gutter / 2
        way_x = left if left > 0 else source.x + BOX_WIDTH + gutter / 2
    down, up = start_y + ROW_GAP, end_y - ROW_GAP
    return (
        f"{_curve((start_x, start_y), (way_x, down))} L{way_x:.0f},{up:.0f} "
        f"{_curve((way_x, up), (end_x, end_y), move=False)}"
    )


def _curve(begin: tuple[float, float], end: tuple[float, float], *, move: bool = True) -> str:
    (x0, y0), (x1, y1) = begin, end
    middle = (y0 + y1) / 2
    start = f"M{x0:.0f},{y0:.0f} " if move else ""
    return f"{start}C{x0:.0f},{middle:.0f} {x1:.0f},{middle:.0f} {x1:.0f},{y1:.0f}"
