"""pyproject.toml asks for what is imported, and leaves a new vLLM the versions that it needs."""

import ast
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def imported_modules() -> Iterator[str]:
    for folder in ("gist_ray", "jobs"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.split(".")[0]


def test_every_dependency_is_imported() -> None:
    owners = packages_distributions()
    used = {
        canonicalize_name(owner) for name in imported_modules() for owner in owners.get(name, [])
    }
    asked = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert asked - used == set()


@pytest.mark.parametrize("wanted", ["vllm==0.33.0", "torch==2.14.0", "pillow==13.0.0"])
def test_vllm_may_be_newer_than_the_one_that_was_tried(wanted: str) -> None:
    """vLLM 0.33.0 requires this torch and at least this Pillow."""
    name, version = wanted.split("==")
    lines = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["gpu"]
    [found] = [line for line in map(Requirement, lines) if line.name == name]
    assert found.specifier.contains(version)
