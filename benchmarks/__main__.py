"""All benchmarks in turn, on a machine that should be doing nothing else: python -m benchmarks.

Every result is appended to benchmarks/results.jsonl as a line of JSON. Those that take long and
leave gigabytes, benchmarks.growth, methods, second_run and sweep, are started by themselves.
"""

import subprocess
import sys

from benchmarks.record import REPOSITORY

RESULTS = REPOSITORY / "benchmarks" / "results.jsonl"

RUNS = [
    ["embedding"],
    ["embedding", "--model", "butterfly-clip", "--batch-size", "256", "--images", "8192"],
    ["encoder"],
    ["prediction"],
    ["generation"],
    ["finetuning"],
    ["startup"],
    ["small_work"],
    ["matching"],
    ["stored_ids", "--rows", "200000"],
    ["audit"],
]


def main() -> int:
    failed = []
    for run in RUNS:
        print(f"\n{' '.join(run)}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{run[0]}", *run[1:], "--out", str(RESULTS)]
        if subprocess.run(command, cwd=REPOSITORY).returncode:
            failed.append(run[0])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
