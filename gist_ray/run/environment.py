"""Hardware, commit and versions, which are stored with all measured numbers."""

import os
import platform
import subprocess
from pathlib import Path

from gist_ray.store.artifacts import package_versions


def environment() -> dict[str, str]:
    """Returns the hardware, the commit and the versions of this process, by name."""
    found = {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} CPUs",
        "system": platform.platform(terse=True),
    }
    if commit := _commit():
        found["commit"] = commit
    return {**found, **package_versions()}


def _commit() -> str:
    """Returns the repository's commit if the package runs from a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    here = Path(__file__).parent
    try:
        result = subprocess.run(
            command, cwd=here, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
