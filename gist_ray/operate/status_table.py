"""The tables and lines that `status` prints."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gist_ray.errors import printable
from gist_ray.operate.status import RunStatus, StageStatus
from gist_ray.run.lease import SILENT_S
from gist_ray.run.progress import duration

COLOURS = {
    "finished": "green",
    "stored": "green",
    "running": "cyan",
    "failed": "red",
    "dead": "red",
    "interrupted": "yellow",
    "stopped": "yellow",
}


def run_table(run: RunStatus) -> RenderableType:
    """Returns the table of one run: a line per group of stages, and one for each running stage."""
    table = Table()
    for column in ("stage", "state", "done", "failed", "a second", "left"):
        table.add_column(column, justify="left" if column in ("stage", "state") else "right")
    for name, members in _groups(run.stages).items():
        if len(members) == 1:
            _add(table, members[0].name, members[0])
            continue
        table.add_row(name, _states(members), _rows(members), _failed(members), "", "")
        for stage in members:
            if stage.state in ("running", "dead", "failed", "stopped"):
                _add(table, f"  {stage.name.removeprefix(name).strip()}", stage)
    return Group(Text(headline(run), style=COLOURS.get(run.state, "")), table)


def headline(run: RunStatus) -> str:
    """Returns a line such as "leaves: running for 3 min 20 s, about 12 min 3 s left"."""
    words = f"{run.name}: {run.state}"
    if run.state == "running" and run.started is not None and run.silent_s is not None:
        lasts = datetime.now().timestamp() - run.started
        words += f" for {duration(lasts)}"
        if run.silent_s > SILENT_S:
            words += f", no heartbeat for {duration(run.silent_s)}"
        if run.eta_s is not None:
            words += f", about {duration(run.eta_s)} left"
        if run.unforeseen:
            besides = " besides" if run.eta_s is not None else ""
            words += f"; not known{besides}: {', '.join(run.unforeseen)}, of which none has run yet"
    elif run.state == "dead" and run.silent_s is not None:
        words += f", no heartbeat for {duration(run.silent_s)}"
        words += ". Start it again: it goes on from what is stored"
    elif run.ended is not None and run.started is not None:
        words += f" {_when(run.ended)} after {duration(run.ended - run.started)}"
    return "\n".join([words, *map(printable, run.message.splitlines())])


def runs_table(runs: Sequence[RunStatus]) -> Table:
    """Returns the table of all runs of a root, one line each."""
    table = Table()
    for column in ("run", "state", "started", "took"):
        table.add_column(column)
    for run in runs:
        took = ""
        if run.started is not None and run.ended is not None:
            took = duration(run.ended - run.started)
        elif run.silent_s is not None and run.state == "dead":
            took = f"silent for {duration(run.silent_s)}"
        started = _when(run.started) if run.started is not None else ""
        table.add_row(run.name, _coloured(run.state), started, took)
    return table


def _add(table: Table, name: str, stage: StageStatus) -> None:
    state = _coloured(stage.state)
    if stage.state == "running" and stage.silent_s is not None and stage.silent_s > SILENT_S:
        state.append(f", silent for {duration(stage.silent_s)}")
    elif stage.state == "stored" and stage.seconds is not None:
        state.append(f" in {duration(stage.seconds)}", style="dim")
    for name_of_value, value in stage.values.items():
        state.append(f"  {name_of_value} {value:.4g}", style="dim")
    rate = f"{stage.rate:,.1f} {stage.unit}" if stage.rate is not None else ""
    left = duration(stage.eta_s) if stage.eta_s is not None else ""
    table.add_row(name, state, _rows([stage]), _failed([stage]), rate, left)


def _coloured(state: str) -> Text:
    return Text().append(state, style=COLOURS.get(state, "dim"))


def _states(stages: Sequence[StageStatus]) -> Text:
    """Returns the counts of states: "12 stored, 2 running, 22 waiting"."""
    text = Text()
    for state in dict.fromkeys(stage.state for stage in stages):
        if text:
            text.append(", ")
        number = sum(stage.state == state for stage in stages)
        text.append(f"{number} {state}", style=COLOURS.get(state, "dim"))
    return text


def _rows(stages: Sequence[StageStatus]) -> str:
    """Returns the rows done of all rows. Steps of a running training are not rows."""
    if len(stages) > 1:
        stages = [stage for stage in stages if stage.unit != "steps"]
    done = sum(stage.done for stage in stages)
    totals = [stage.total for stage in stages]
    known = sum(total for total in totals if total is not None)
    if None in totals:
        return f"{done:,}" if done else ""
    unit = f" {stages[0].unit}" if stages[0].unit != "rows" else ""
    return f"{done:,}{unit}" if done == known else f"{done:,} of {known:,}{unit}"


def _failed(stages: Sequence[StageStatus]) -> Text:
    kinds: dict[str, int] = {}
    for stage in stages:
        for kind, number in stage.failed.items():
            kinds[kind] = kinds.get(kind, 0) + number
    shown = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
    return Text(shown, style="red")


def _groups(stages: Sequence[StageStatus]) -> dict[str, list[StageStatus]]:
    groups: dict[str, list[StageStatus]] = {}
    for stage in stages:
        groups.setdefault(stage.group, []).append(stage)
    return groups


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
