"""Runs the tests of faults and puts their figures into docs/faults.md:

python -m tests.faults.table                   # in about ten minutes
python -m tests.faults.table figures.jsonl     # of a run with GIST_RAY_FAULT_FIGURES=figures.jsonl
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gist_ray.settings.configs import CONFIGS

PAGE = CONFIGS.parent / "docs" / "faults.md"
BEGIN, END = "<!-- figures of the tests -->", "<!-- end of the figures -->"
HEAD = """| fault | when | what happens | rows computed again | seconds until it went on | date |
| --- | --- | --- | --- | --- | --- |"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.jsonl"
        if sys.argv[1:]:
            file = Path(sys.argv[1])
        else:
            _run_tests(file)
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([HEAD, *map(_line, rows)])
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


def _run_tests(file: Path) -> None:
    here = Path(__file__).parent
    tests = sorted(str(test) for test in here.glob("test_*.py") if "record:" in test.read_text())
    subprocess.run(
        [sys.executable, "-m", "pytest", *tests],
        env={**os.environ, "GIST_RAY_FAULT_FIGURES": str(file)},
        cwd=CONFIGS.parent,
        check=True,
    )


def _line(row: dict[str, Any]) -> str:
    redone = "not counted"
    if row["redone"] is not None:
        redone = f"{row['redone']:,} of {row['rows']:,} ({row['redone'] / row['rows']:.1%})"
    lost = "" if row["seconds"] is None else f"{row['seconds']:.0f}"
    cells = [row["fault"], row["moment"], row["outcome"], redone, lost, row["date"]]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
