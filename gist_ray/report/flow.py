"""The pipeline's steps as a diagram: one box per stage and depth, joined by what reads what."""

from collections.abc import Sequence
from dataclasses import dataclass

from gist_ray.report.data import StageRow

WIDTH, BOX_HEIGHT, ROW_GAP, LANE_GAP, MAX_BOX_WIDTH = 900, 48, 28, 36, 420
MAX_LANES = 4


@dataclass(frozen=True)
class Box:
    """All steps of one stage that stand at the same depth of the flow."""

    stage: str
    rows_in: int
    rows_ok: int
    num_failed: int
    seconds: float
    num_steps: int
    num_stored: int
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Flow:
    boxes: list[Box]
    # SVG path data
    edges: list[str]
    width: int
    height: int


def flow(stages: Sequence[StageRow]) -> Flow:
    """Place the boxes: a row per depth, the longest way from a step without inputs.

    A box stands in the lane of its deepest input, so a branch keeps its side until it joins
    another. An input that is no earlier step is left out. Without inputs the stages form a chain
    in their order.
    """
    groups = _grouped(stages)
    lanes = _lanes(groups)
    num_lanes = max(lanes.values(), default=0) + 1
    box_width = min(MAX_BOX_WIDTH, (WIDTH - (num_lanes - 1) * LANE_GAP) / num_lanes)
    margin = (WIDTH - num_lanes * box_width - (num_lanes - 1) * LANE_GAP) / 2
    boxes = {
        key: _box(
            group,
            x=margin + lanes[key] * (box_width + LANE_GAP),
            y=key[0] * (BOX_HEIGHT + ROW_GAP) + 1,
            width=box_width,
        )
        for key, group in groups.items()
    }
    taken = {(key[0], lanes[key]) for key in groups}
    edges = [
        _edge(boxes, taken, lanes, source, target)
        for target, group in groups.items()
        for source in sorted(group.inputs)
    ]
    num_rows = max((depth for depth, _ in groups), default=-1) + 1
    height = max(0, num_rows * (BOX_HEIGHT + ROW_GAP) - ROW_GAP + 2)
    return Flow(list(boxes.values()), edges, WIDTH, height)


Key = tuple[int, str]


@dataclass
class _Group:
    steps: list[StageRow]
    inputs: set[Key]


def _grouped(stages: Sequence[StageRow]) -> dict[Key, _Group]:
    """Steps by (depth, stage), in the order of the pipeline."""
    groups: dict[Key, _Group] = {}
    key_of_step: dict[str, Key] = {}
    chained = not any(step.get("inputs") for step in stages)
    last: Key | None = None
    for step in stages:
        if chained:
            same = last is not None and last[1] == step["stage"]
            depth = 0 if last is None else last[0] + (not same)
            inputs = {last} if last is not None and not same else set()
        else:
            inputs = {key_of_step[name] for name in step.get("inputs", []) if name in key_of_step}
            depth = max((above for above, _ in inputs), default=-1) + 1
        last = (depth, step["stage"])
        key_of_step[step["key"]] = last
        group = groups.setdefault(last, _Group([], set()))
        group.steps.append(step)
        group.inputs |= inputs
    return groups


def _lanes(groups: dict[Key, _Group]) -> dict[Key, int]:
    lanes: dict[Key, int] = {}
    for key, group in sorted(groups.items(), key=lambda item: item[0][0]):
        used = {lane for other, lane in lanes.items() if other[0] == key[0]}
        nearest = max(group.inputs, key=lambda other: (other[0], -lanes[other]), default=None)
        wanted = 0 if nearest is None else lanes[nearest]
        free = [wanted, *range(MAX_LANES + len(used))]
        lanes[key] = next(lane for lane in free if lane not in used)
    return lanes


def _box(group: _Group, x: float, y: float, width: float) -> Box:
    steps = group.steps
    return Box(
        stage=steps[0]["stage"],
        rows_in=sum(step["rows_in"] for step in steps),
        rows_ok=sum(step["rows_ok"] for step in steps),
        num_failed=sum(sum(step["failed"].values()) for step in steps),
        seconds=sum(step["seconds"] for step in steps),
        num_steps=len(steps),
        num_stored=sum(step["cached"] for step in steps),
        x=x,
        y=y,
        width=width,
    )


def _edge(
    boxes: dict[Key, Box],
    taken: set[tuple[int, int]],
    lanes: dict[Key, int],
    source: Key,
    target: Key,
) -> str:
    """A line from box to box that passes beside the boxes between them."""
    start_x, start_y = boxes[source].x + boxes[source].width / 2, boxes[source].y + BOX_HEIGHT
    end_x, end_y = boxes[target].x + boxes[target].width / 2, boxes[target].y
    between = range(source[0] + 1, target[0])
    if not between:
        return _curve(start_x, start_y, end_x, end_y)
    clear = {lane: all((depth, lane) not in taken for depth in between) for lane in lanes.values()}
    if clear[lanes[source]]:
        way_x = start_x
    elif clear[lanes[target]]:
        way_x = end_x
    else:
        side = -1 if end_x <= start_x else 1
        way_x = start_x + side * (boxes[source].width + LANE_GAP) / 2
        way_x = min(max(way_x, 4), WIDTH - 4)
        if lanes[source] == lanes[target]:
            start_x, end_x = start_x - boxes[source].width / 4, end_x - boxes[target].width / 4
    down, up = start_y + ROW_GAP, end_y - ROW_GAP
    return (
        f"{_curve(start_x, start_y, way_x, down)} L{way_x:.0f},{up:.0f} "
        f"{_curve(way_x, up, end_x, end_y, move=False)}"
    )


def _curve(x0: float, y0: float, x1: float, y1: float, move: bool = True) -> str:
    middle = (y0 + y1) / 2
    start = f"M{x0:.0f},{y0:.0f} " if move else ""
    return f"{start}C{x0:.0f},{middle:.0f} {x1:.0f},{middle:.0f} {x1:.0f},{y1:.0f}"
