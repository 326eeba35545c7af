"""`make run` of this checkout against that of an earlier commit, by turns, each into a fresh root.

    python -m benchmarks.whole_run --against 8339b25

The earlier commit is checked out into a temporary worktree and run by this Python, so both have the
same packages. The table says what the stages of each took; stages run side by side, so their
seconds add up to more than the run's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.record import REPOSITORY, parser, record, say_table, spread

LIMIT_S = 3600
OLD_SCRIPT = "jobs/pipeline.py"
"""How commits before the command gist-ray start a run."""


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    ours: list[float] = []
    theirs: list[float] = []
    stages: dict[str, dict[str, float]] = {}
    with _worktree(arguments.against) as old, tempfile.TemporaryDirectory() as roots:
        for turn in range(arguments.rounds):
            for name, code, seconds in (("now", REPOSITORY, ours), ("before", old, theirs)):
                root = Path(roots) / f"{name}-{turn}"
                seconds.append(_run(code, root, arguments.overrides))
                stages[name] = _seconds_by_group(root)
                print(f"{name}: {seconds[-1]:.1f} s", flush=True)
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    groups = sorted({*stages["now"], *stages["before"]}, key=lambda g: -stages["now"].get(g, 0))
    say_table(
        "Seconds of the stages, by group, last round",
        ["group", "now", f"at {arguments.against}"],
        [
            [group, *(f"{stages[name].get(group, 0):.1f}" for name in ("now", "before"))]
            for group in groups
        ],
    )
    print(f"whole run, now to {arguments.against}: {spread(ratios)}")
    numbers = {"now_s": ours, "before_s": theirs, "ratio": spread(ratios), "stages_s": stages}
    record("whole_run", {"against": arguments.against, **numbers}, arguments.out)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--against", default="8339b25", metavar="COMMIT")
    made.add_argument("--rounds", type=int, default=1)
    made.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="settings that both commits know"
    )
    return made.parse_args(words)


@contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "before"
        git = ["git", "-C", str(REPOSITORY), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


def _run(code: Path, root: Path, overrides: Sequence[str]) -> float:
    """Returns the seconds of one run from the start of its process to its end."""
    script = ["-m", "gist_ray", "run"] if not (code / OLD_SCRIPT).exists() else [OLD_SCRIPT]
    command = [sys.executable, *script, f"root={root}", "name=whole", *overrides]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    start = time.monotonic()
    done = subprocess.run(
        command, cwd=code, env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} in {code} failed:\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - start


def _seconds_by_group(root: Path) -> dict[str, float]:
    """{first two words of a stage's name: seconds of all such stages}."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for stage in json.loads((root / "runs" / "whole" / "metrics.json").read_text())["stages"]:
        name = stage.get("name") or stage["key"]
        words = name.split()
        group = " ".join(words[:2]) if words[0] in ("embed", "draw", "generate") else words[0]
        seconds[group] += stage.get("seconds", 0.0)
    return dict(seconds)


if __name__ == "__main__":
    main()
