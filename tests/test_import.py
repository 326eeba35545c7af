"""`import gist_ray` costs nothing and changes nothing for whoever imports it."""

import subprocess
import sys
from pathlib import Path


def test_importing_the_package_loads_no_library_and_leaves_imports_alone() -> None:
    program = (
        "import sys\n"
        "finders = list(sys.meta_path)\n"
        "import gist_ray\n"
        "assert sys.meta_path == finders, sys.meta_path\n"
        "slow = {'torch', 'ray', 'open_clip', 'timm', 'numpy', 'pyarrow', 'sklearn'}\n"
        "assert not slow & sys.modules.keys(), slow & sys.modules.keys()\n"
    )
    # Isolated from site-packages, whose .pth files may load a library before this program begins.
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
