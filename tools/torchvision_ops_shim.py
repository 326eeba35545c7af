"""Lets torchvision's Python half load beside a torch whose build it was not compiled for.

PyPI has torchvision only in its CUDA build. Beside a CPU torch its compiled operators cannot load
and `import torchvision` dies with "operator torchvision::nms does not exist", which takes
open_clip, transformers and vLLM down with it. Declaring the two operators that torchvision looks
up at import lets its pure-Python transforms work, also in child processes (a .pth line in
site-packages imports this module at start-up). `tools/install.py` puts it there only where
torchvision does not import by itself.
"""

import importlib.abc
import sys

OPERATORS = ("nms", "qnms")


class _DeclareOperators(importlib.abc.MetaPathFinder):
    """Runs once, right before torchvision is first imported; finds nothing itself."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname == "torchvision":
            sys.meta_path.remove(self)
            import torch

            library = torch.library.Library("torchvision", "FRAGMENT")
            for name in OPERATORS:
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            torch._torchvision_ops_shim = library  # alive as long as torch is
        return None


sys.meta_path.insert(0, _DeclareOperators())
