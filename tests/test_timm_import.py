"""What open_clip drags in is not paid for by every process."""

import subprocess
import sys
from pathlib import Path


def test_timm_is_imported_without_wandb_and_others_get_it(tmp_path: Path) -> None:
    """With a package of that name first on the path, whether the real one is installed or not."""
    (tmp_path / "wandb.py").write_text("is_fake = True\n")
    program = (
        "import sys, gist_ray.encoders.clip, timm.utils.summary\n"
        "assert 'wandb' not in sys.modules\n"
        "import wandb\n"
        "assert wandb.is_fake\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
