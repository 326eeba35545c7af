"""Installs the project and what it needs into the running Python's environment.

    .venv/bin/python tools/install.py cpu demo test

The arguments are extras of pyproject.toml, which is the only place that names a dependency. Beyond
`pip install ".[cpu,demo]"` this does what pip cannot be told: it takes CPU builds of torch and
torchvision, leaves out what nothing here uses, and mends torchvision where only its CUDA build was
to be had.
"""

import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
# PyPI has torch and torchvision in their CUDA builds only.
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
SHIM = "_torchvision_ops_shim"


def main() -> None:
    extras = sys.argv[1:] or ["cpu", "demo"]
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    left_out = pyproject["tool"]["gist-ray"]["not-needed"]
    run_pip("install", "--upgrade", "pip", "uv")
    if "cpu" in extras:
        left_out = left_out + pyproject["tool"]["gist-ray"]["not-needed-on-cpu"]
        install_cpu_torch(pyproject["project"]["optional-dependencies"]["cpu"])
    install(extras, left_out)
    if "cpu" in extras:
        mend_torchvision()


def install(extras: list[str], left_out: list[str]) -> None:
    """uv resolves and unpacks several times faster than pip, and keeps the torch that is there."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as overrides:
        overrides.write("".join(f"{name}; sys_platform == 'none'\n" for name in left_out))
        overrides.flush()
        target = f"{ROOT}[{','.join(extras)}]"
        uv = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
        subprocess.run([*uv, "--override", overrides.name, "-e", target], check=True)


def install_cpu_torch(wanted: list[str]) -> None:
    """The CPU pair from PyTorch's own index; where that is out of reach, what pip finds."""
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
