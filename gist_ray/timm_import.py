"""Spares every process of a run the import of wandb.

open_clip imports timm, and timm's summary.py imports wandb wherever it is installed, for a function
that nothing here calls: 4 of 10 CPU seconds of `import open_clip` (timm 1.0,
https://github.com/huggingface/pytorch-image-models/blob/main/timm/utils/summary.py, which goes on
without it). Whoever imports wandb for themselves gets it.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

SUMMARY = "timm.utils.summary"


class WithoutWandb(MetaPathFinder):
    """Finds timm's module as always, and has it run as if wandb were not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != SUMMARY or "wandb" in sys.modules:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_without(module: ModuleType) -> None:
                sys.modules["wandb"] = None  # type: ignore[assignment]
                try:
                    run(module)
                finally:
                    del sys.modules["wandb"]

            spec.loader.exec_module = run_without  # type: ignore[method-assign]
        return spec
