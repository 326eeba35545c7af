"""Text generation against `vllm.LLM.generate` on the same prompts in one call, tokens/s.

The prompts are those of the embedded data set, decoded as there (held to its regular expressions,
or freely with --free). Both engines have the same settings, all CPUs (or the GPU) and take turns;
the bare one stays loaded. Counted is the middle of a run, when an engine is full: neither its
start, nor the first quarter, nor the tail, when the last answers run out.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc
import torch

from benchmarks.rates import Stamp, in_turns, part_times, say_rates, steady_rate
from benchmarks.record import parser, record
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.demo.butterflies.notes import field_notes
from gist_ray.demo.butterflies.species import make_species
from gist_ray.llm.config import LlmConfig, model_source
from gist_ray.run.cluster import STEADY_CPU, connect
from gist_ray.run.progress import Progress
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.texts.prompt_set import PromptSet, Sampling, load_prompt_set
from gist_ray.texts.prompting import build_prompts

STEADY = (0.25, 0.75)


def main(words: Sequence[str] | None = None) -> None:
    arguments = _arguments(words)
    prompt_set = load_prompt_set("butterflies")
    prompts = _prompts(prompt_set, arguments.prompts, arguments.free)
    llm = LlmConfig(
        gpus_per_replica=1 if arguments.cuda else 0,
        cpus_per_replica=1 if arguments.cuda else arguments.cpus,
        max_model_len=512,
        texts_per_file=32,
        engine_kwargs={"max_num_seqs": arguments.max_num_seqs},
    )
    connect()
    from gist_ray.llm.generate import _processor_config

    # what ours gives its engine, and its actor's environment
    engine = _processor_config(llm, prompt_set.chat)
    engine_kwargs = {k: v for k, v in engine.engine_kwargs.items() if k != "task_type"}  # Ray's own
    environment = {
        **STEADY_CPU,
        **(engine.runtime_env or {})["env_vars"],
        "OMP_NUM_THREADS": str(llm.cpus_per_replica),
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    spawn = multiprocessing.get_context("spawn")
    with patch.dict(os.environ, environment), ProcessPoolExecutor(1, mp_context=spawn) as other:
        other.submit(start_bare, model_source(llm), engine_kwargs).result()
        rates = in_turns(
            lambda: steady_rate(ours(prompts, llm, prompt_set), *STEADY),
            lambda: steady_rate(other.submit(bare, prompts, prompt_set.sampling).result(), *STEADY),
            arguments.pairs,
        )
        other.submit(stop_bare).result()
    decoding = "free" if arguments.free else "constrained"
    name = f"SmolLM2-135M, {len(prompts)} prompts, {decoding}"
    say_rates("Text generation", "tokens/s", [rates.row(name)])
    settings = {name: value for name, value in vars(arguments).items() if name != "out"}
    record("generation", {"settings": settings, **rates.numbers()}, arguments.out)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    options = parser(__doc__)
    options.add_argument("--prompts", type=int, default=20_000 if cuda else 512, help="per turn")
    options.add_argument("--max-num-seqs", type=int, default=256 if cuda else 64)
    options.add_argument("--free", action="store_true", help="without structured outputs")
    options.add_argument("--pairs", type=int, default=2, help="turns of each")
    arguments = options.parse_args(words)
    arguments.cuda, arguments.cpus = cuda, len(os.sched_getaffinity(0))
    return arguments


def _prompts(prompt_set: PromptSet, number: int, free: bool) -> pa.Table:
    """A PROMPTS table of `number` rows."""
    notes = field_notes(make_species(WorldConfig()))
    one_each = len(build_prompts(replace(prompt_set, samples_per_prompt=1), _classes(notes), notes))
    asked = replace(prompt_set, samples_per_prompt=-(-number // one_each))
    prompts = build_prompts(asked, _classes(notes), notes).slice(0, number)
    if free:
        at = prompts.schema.get_field_index("constraint")
        nothing = pa.nulls(len(prompts), prompts.schema.field(at).type)
        prompts = prompts.set_column(at, prompts.schema.field(at), nothing)
    return prompts


def _classes(notes: dict[str, Any]) -> list[tuple[int, str]]:
    return list(enumerate(notes))


def ours(prompts: pa.Table, llm: LlmConfig, prompt_set: PromptSet) -> list[Stamp]:
    """When how many tokens were stored by the generation stage."""
    from gist_ray.llm.generate import generate

    with tempfile.TemporaryDirectory() as root:
        writer = ArtifactStore(root).writer("answers", "generate texts", {}, inputs={})
        progress = Progress(interval_s=60)
        generate(
            prompts,
            llm,
            sampling=prompt_set.sampling,
            chat=prompt_set.chat,
            writer=writer,
            progress=progress,
        )
        assert sum(part["rows"] for part in writer.parts) == len(prompts)
        return [(at, _tokens(part)) for part, at in part_times(writer.uri).items()]


def _tokens(part: str) -> int:
    return int(pc.sum(storage.read_parquet(part, ["num_tokens"]).column("num_tokens")).as_py())


ENGINE: Any = None
"""The bare engine, in a process of its own."""


def start_bare(model: str, engine_kwargs: dict[str, Any]) -> None:
    import vllm

    global ENGINE
    # Times per answer are among the statistics, which ours collects too.
    own = {"distributed_executor_backend": "uni", "disable_log_stats": False}
    ENGINE = vllm.LLM(model=model, **{**own, **engine_kwargs})


def stop_bare() -> None:
    ENGINE.llm_engine.engine_core.shutdown()


def bare(prompts: pa.Table, sampling: Sampling) -> list[Stamp]:
    """When how many tokens were there, answer by answer."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    def parameters(constraint: str | None) -> SamplingParams:
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            stop=sampling.stop,
            structured_outputs=StructuredOutputsParams(**json.loads(constraint))
            if constraint
            else None,
        )

    texts = prompts.column("prompt").to_pylist()
    constraints = prompts.column("constraint").to_pylist()
    ENGINE.reset_prefix_cache()
    answers = ENGINE.generate(texts, [parameters(each) for each in constraints], use_tqdm=False)
    return [(a.metrics.last_token_ts, len(a.outputs[0].token_ids)) for a in answers]


if __name__ == "__main__":
    main()
