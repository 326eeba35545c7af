"""Generation of texts by vLLM engines over a Ray Data set of prompts."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.data.llm import build_processor, vLLMEngineProcessorConfig

from gist_ray.llm import smollm2
from gist_ray.llm.config import LlmConfig, Sampling, is_local_model, model_source
from gist_ray.llm.tables import ANSWERS
from gist_ray.run import cluster
from gist_ray.run.progress import Progress
from gist_ray.run.rows import run_rows
from gist_ray.schema import table
from gist_ray.store.artifacts import ArtifactWriter

# Matches vLLM's messages for a prompt that does not fit into the context.
TOO_LONG = re.compile(r"maximum (?:context|model) length|max_model_len", re.IGNORECASE)

# The tasks before and after the engine only convert rows. If each asked for a whole CPU, they and
# the finished answers would wait, on a small machine, for the CPUs of the engine and the writers.
LIGHT_TASK = {"num_cpus": 0.1}

CPU_BLOCK_TOKENS = 32

IN_ENGINE = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""By its full name, since vLLM takes "uni" for its default on a CPU."""

OUTCOME = pa.schema(
    [*ANSWERS, pa.field("error_kind", pa.string()), pa.field("error_message", pa.string())]
)


def generate(
    prompts: pa.Table,
    llm: LlmConfig,
    *,
    sampling: Sampling,
    chat: bool,
    writer: ArtifactWriter,
    progress: Progress,
) -> None:
    """Answers every row of `prompts` (a PROMPTS table) once and writes ANSWERS rows to `writer`.

    A prompt that the engine refuses becomes an error row, of kind "too_long" if it does not fit
    into the context, else "llm_error". Raises UserError if the model does not exist.
    """
    if llm.model == smollm2.NAME:
        # An engine may run on any node, and the converted model is a local folder.
        cluster.on_every_node(smollm2.convert)
    # At least two files per replica, so that the replicas finish at about the same time.
    share = -(-len(prompts) // (2 * llm.num_replicas))
    run_rows(
        prompts,
        id_column="text_id",
        transform=answering(llm, sampling, chat),
        schema=ANSWERS,
        writer=writer,
        rows_per_part=max(1, min(llm.texts_per_file, share)),
        unit="texts",
        progress=progress,
        tokens_column="num_tokens",
    )


def answering(
    llm: LlmConfig, sampling: Sampling, chat: bool
) -> Callable[[ray.data.Dataset], ray.data.Dataset]:
    """Returns the transform from rows of PROMPTS to rows of OUTCOME."""
    parameters = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "stop": sampling.stop,
    }
    recorded = json.dumps({**parameters, "seed": llm.seed}, sort_keys=True)

    def request(row: dict[str, Any]) -> dict[str, Any]:
        # The engine overwrites `prompt` with its final input.
        prepared = {"request": row["prompt"], "sampling_params": dict(parameters)}
        if row["constraint"] is not None:
            prepared["sampling_params"]["structured_outputs"] = json.loads(row["constraint"])
        if chat:
            prepared["messages"] = json.loads(row["prompt"])
        return prepared

    def answer(row: dict[str, Any]) -> dict[str, Any]:
        # A failed row has none of the answer's columns, or has them as None.
        error = row.get("__inference_error__") or ""
        asked = f"class {row['class_name']!r}, prompt {row['prompt_id']!r}: "
        num_prompt_tokens = row.get("num_input_tokens") or 0
        num_tokens = row.get("num_generated_tokens") or 0
        # ray.data.llm (2.60) drops vLLM's finish_reason, so it is derived from the lengths.
        was_cut = (
            num_tokens >= sampling.max_tokens or num_prompt_tokens + num_tokens >= llm.max_model_len
        )
        return {
            **{name: row.get(name) for name in ANSWERS.names},
            "prompt": row["request"],
            "raw": row.get("generated_text") or "",
            "finish_reason": "length" if was_cut else "stop",
            "num_prompt_tokens": num_prompt_tokens,
            "num_tokens": num_tokens,
            "model": llm.model,
            "sampling_params": recorded,
            "error_kind": _kind(error),
            "error_message": asked + error if error else "",
        }

    def with_types(block: pa.Table) -> pa.Table:
        # Rows of one block differ in their columns when some failed (ray#53529).
        return table(block.to_pylist(), OUTCOME)

    def transform(prompts: ray.data.Dataset) -> ray.data.Dataset:
        logging.disable(logging.WARNING)  # hides messages of vLLM and Ray about their start
        try:
            processor = build_processor(
                _processor_config(llm, chat), preprocess=request, preprocess_map_kwargs=LIGHT_TASK
            )
        finally:
            logging.disable(logging.NOTSET)
        answers = processor(prompts).map(answer, **LIGHT_TASK)
        return answers.map_batches(with_types, batch_format="pyarrow", **LIGHT_TASK)

    return transform


def _kind(error: str) -> str:
    """Returns the kind of an engine's error: "too_long", which no retry mends, "llm_error", or ""
    for no error."""
    if not error:
        return ""
    return "too_long" if TOO_LONG.search(error) else "llm_error"


def _processor_config(llm: LlmConfig, chat: bool) -> vLLMEngineProcessorConfig:
    gpus = llm.gpus_per_replica
    if gpus == "auto":
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    engine_kwargs: dict[str, Any] = {
        "dtype": llm.dtype,
        "max_model_len": llm.max_model_len,
        # No seed per request: together with structured outputs it crashes the CPU engine of
        # vLLM 0.32 ("CPU Generator does not use offset"), and even greedy answers depend on the
        # batch (https://github.com/vllm-project/vllm/issues/5898).
        "seed": llm.seed,
    }
    env_vars: dict[str, str] = {}
    bundle: dict[str, float] = {"CPU": llm.cpus_per_replica}
    if gpus:
        bundle["GPU"] = min(gpus, 1)
        engine_kwargs["tensor_parallel_size"] = max(1, int(gpus))
        # vLLM's default is 90 % of a whole GPU, even for an engine with a fraction of it.
        engine_kwargs["gpu_memory_utilization"] = 0.9 * min(gpus, 1)
    else:
        engine_kwargs["enforce_eager"] = True
        # Prompts of a set begin alike, and vLLM finds what it has computed by whole blocks, which
        # are of 128 tokens on a CPU unless it is told otherwise.
        engine_kwargs["block_size"] = CPU_BLOCK_TOKENS
        # The model runs in the process of the engine. vLLM's default for CPUs (0.32) is a process
        # of its own, for which the engine waits by polling: a CPU of two.
        engine_kwargs["distributed_executor_backend"] = IN_ENGINE
        env_vars["VLLM_CPU_KVCACHE_SPACE"] = f"{llm.cpu_kv_cache_gib:g}"
        # Bound to cores, the threads would share a core with Ray's other workers (vllm#10971).
        env_vars["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    if is_local_model(llm):
        env_vars["HF_HUB_OFFLINE"] = "1"
    return vLLMEngineProcessorConfig(
        model_source=model_source(llm),
        engine_kwargs={**engine_kwargs, **llm.engine_kwargs},
        batch_size=llm.batch_size,
        max_concurrent_batches=llm.max_concurrent_batches,
        concurrency=(llm.num_replicas, llm.num_replicas),
        should_continue_on_error=True,
        runtime_env={"env_vars": env_vars},
        accelerator_type=None,
        # Without bundles Ray requests a GPU even for a CPU engine.
        placement_group_config={"bundles": [bundle] * max(1, int(gpus))},
        # The engine tokenizes by itself; separate stages would cost a process each.
        chat_template_stage=chat,
        tokenize_stage=False,
        detokenize_stage=False,
        # Needs ray[serve].
        log_engine_metrics=False,
    )
