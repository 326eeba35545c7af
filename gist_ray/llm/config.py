"""The settings of the language model: which model, its sampling, and its resources."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gist_ray.errors import UserError
from gist_ray.llm import smollm2
from gist_ray.run.resources import Resources
from gist_ray.settings.declare import Runtime, settings
from gist_ray.store import storage


@settings
class Sampling:
    """How answers are drawn from the model."""

    temperature: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0
    """0 always takes the likeliest token; several samples of a prompt are then identical."""

    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Draw from the likeliest tokens that together have this probability."""

    max_tokens: Annotated[int, Field(ge=1)] = 96
    """Longest answer, in the language model's tokens."""

    stop: list[str] = Field(default_factory=list)
    """An answer ends before the first of these strings."""


@settings
class LlmConfig:
    """A language model in vLLM, as any number of replicas."""

    model: str = smollm2.NAME
    """"smollm2-135m-instruct" (packaged), a Hugging Face id, s3://bucket/folder, or a folder, which
    every machine of a cluster has to see."""

    num_replicas: Annotated[int, Field(ge=1), Runtime] = 1
    """How many engines share the prompts. On CPUs at most one per machine."""

    gpus_per_replica: Annotated[Annotated[float, Field(ge=0)] | Literal["auto"], Runtime] = "auto"
    """GPUs of one engine: 0 for a CPU engine, a fraction to share a GPU, 2 or more for tensor
    parallelism. "auto": 1 if the cluster has GPUs, else 0."""

    cpus_per_replica: Annotated[int, Field(ge=1), Runtime] = 1
    """CPUs set aside for one engine; a CPU engine computes with as many threads."""

    max_model_len: Annotated[int, Field(ge=64)] = 1024
    """Longest prompt with its answer, in tokens."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "bfloat16"
    """Number type of weights and activations."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the engine. Texts also depend on which prompts are in one batch, so they are stored
    and never generated twice."""

    batch_size: Annotated[int, Field(ge=1), Runtime] = 32
    """Prompts handed to an engine at once."""

    max_concurrent_batches: Annotated[int, Field(ge=1), Runtime] = 8
    """Batches that an engine works on at the same time."""

    texts_per_file: Annotated[int, Field(ge=1), Runtime] = 512
    """Texts stored together; a killed run loses at most this many per replica."""

    cpu_kv_cache_gib: Annotated[float, Field(gt=0), Runtime] = 1.0
    """Memory of a CPU engine for the attention cache, in GiB."""

    engine_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of vLLM's engine, such as {gpu_memory_utilization: 0.8}."""

    @model_validator(mode="after")
    def _whole_gpus(self) -> "LlmConfig":
        gpus = self.gpus_per_replica
        if gpus != "auto" and gpus > 1 and gpus != int(gpus):
            raise ValueError(f"gpus_per_replica must be a whole number above 1, got {gpus}")
        return self


def is_local_model(llm: LlmConfig) -> bool:
    """Returns whether the weights need no download."""
    return llm.model == smollm2.NAME or Path(llm.model).expanduser().is_dir()


def folders_of(llm: LlmConfig) -> dict[str, str]:
    """Returns {setting: folder} of the model, where it is a folder that every node has to see."""
    folder = Path(llm.model).expanduser()
    return {"llm.model": str(folder)} if folder.is_dir() else {}


def model_problems(llm: LlmConfig) -> list[str]:
    """Returns the problems of `llm.model` that show before any work."""
    looks_like_a_path = llm.model.startswith(("/", "./", "../", "~", "file://"))
    if is_local_model(llm):
        folder = Path(llm.model).expanduser()
        if llm.model != smollm2.NAME and not (folder / "config.json").is_file():
            return [
                f"llm.model: the folder {folder} has no config.json. It must be a model in Hugging "
                "Face format (config.json, tokenizer and safetensors)."
            ]
        return []
    if looks_like_a_path:
        return [f"llm.model: there is no folder {llm.model}."]
    if "://" not in llm.model and llm.model.count("/") != 1:
        return [
            f"llm.model: {llm.model!r} is neither the packaged model ({smollm2.NAME!r}) nor a "
            'Hugging Face id ("owner/name") nor the path of a folder.'
        ]
    return []


def model_source(llm: LlmConfig) -> str:
    """Returns the model's folder, id or URI for vLLM. Converts the packaged model on its first use.

    Raises UserError if there is no such model.
    """
    problems = model_problems(llm)
    if problems:
        raise UserError(problems)
    if llm.model == smollm2.NAME:
        return smollm2.convert()
    if is_local_model(llm):
        return storage.absolute(str(Path(llm.model).expanduser()))
    return llm.model


def resources_of(llm: LlmConfig) -> Resources:
    """Returns the resources of a generating stage. For "auto" they hold one GPU per replica, which
    a cluster without GPUs ignores."""
    is_auto = llm.gpus_per_replica == "auto"
    gpus = 1 if llm.gpus_per_replica == "auto" else llm.gpus_per_replica
    return Resources(
        llm.cpus_per_replica * llm.num_replicas,
        llm.num_replicas * gpus,
        "llm.num_replicas x llm.cpus_per_replica",
        "" if is_auto else "llm.num_replicas x llm.gpus_per_replica",
    )
