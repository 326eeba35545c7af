"""Classifiers over features. Every module of this folder but `stage` is a method: its METHOD says
how it is called, which settings it has and how it is fitted; VAL, where there is one, is the same
method with settings chosen on val. What methods share is in base/."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from gist_ray.methods.base.method import Method

NO_METHOD = {"base", "stage"}


def _methods() -> Iterator[Method]:
    for module in iter_modules(__path__):
        if module.name not in NO_METHOD:
            found = import_module(f"{__name__}.{module.name}")
            yield found.METHOD
            if hasattr(found, "VAL"):
                yield found.VAL


METHODS: dict[str, Method] = {method.name: method for method in _methods()}
