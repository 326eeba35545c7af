"""From a labelled image collection without captions to an accurate fine-grained classifier.

import gist_ray as gr

run = gr.run(["data=image_folder", "data.path=/data/leaves", "name=leaves"])
run.metrics                                   # a pandas DataFrame
classifier = gr.load_classifier("classifiers/leaves")
"""

import importlib
from collections.abc import Sequence
from os import PathLike
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gist_ray import run

if TYPE_CHECKING:
    from gist_ray.commands.finished import FinishedRun
    from gist_ray.errors import UserError
    from gist_ray.predict.folder import load_classifier
    from gist_ray.run.flow import TooManyFailedRowsError

__all__ = ["TooManyFailedRowsError", "UserError", "load_classifier", "run"]

__version__ = "0.1.0"

MODULE_OF = {
    "TooManyFailedRowsError": "gist_ray.run.flow",
    "UserError": "gist_ray.errors",
    "load_classifier": "gist_ray.predict.folder",
}
"""Where the names of the Python API are; they are imported when they are first used."""


def __getattr__(name: str) -> Any:
    if name in MODULE_OF:
        return getattr(importlib.import_module(MODULE_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class CallableFolder(ModuleType):
    """The type of the folder `gist_ray.run`. Python binds a folder's name to its module as soon as
    one of its modules is imported, so a function `run` would not stay in its place."""

    def __call__(
        self, overrides: Sequence[str] = (), config_dir: str | PathLike[str] | None = None
    ) -> "FinishedRun":
        """Run a study, as `gist-ray run` does, and return what it left.

        overrides: settings and groups' choices, such as "data=cub" and "study.shots=[1, 5]".
        config_dir: a folder of your own with groups and experiments.

        Raises UserError before any work, or TooManyFailedRowsError.
        """
        from gist_ray.commands.run import run_from_python

        return run_from_python(overrides, config_dir)


run.__class__ = CallableFolder
