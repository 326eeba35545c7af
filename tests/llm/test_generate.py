import json
import re

import pyarrow as pa
import pytest

from gist_ray.llm.config import LlmConfig
from gist_ray.llm.tables import ANSWERS
from gist_ray.run.progress import Progress
from gist_ray.schema import table
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.texts.prompt_set import Constraint, Prompt, PromptSet, Sampling
from gist_ray.texts.prompting import build_prompts

pytestmark = pytest.mark.ray

SAMPLING = Sampling(temperature=1.0, max_tokens=24, stop=["\n"])
COLOURS = ("red", "green", "blue")


def some_prompts(num_samples, chat=True):
    prompt_set = PromptSet(
        prompts=[Prompt(id="p", template="Describe {{ article(name) }} {{ name }}.")],
        chat=chat,
        constraint=Constraint(regex=f"The {{{{ name }}}} is ({'|'.join(COLOURS)})\\."),
        samples_per_prompt=num_samples,
    )
    return build_prompts(prompt_set, [(0, "robin"), (1, "crow")])


def with_cell(prompts, row, column, value):
    rows = prompts.to_pylist()
    rows[row][column] = value
    return table(rows, prompts.schema)


def with_constraint(prompts, row, constraint):
    return with_cell(prompts, row, "constraint", constraint)


def test_answers_get_fixed_columns_whether_or_not_a_row_failed(ray_local, monkeypatch):
    import ray

    from gist_ray.llm import generate as stage

    def fake_build_processor(config, preprocess, preprocess_map_kwargs):
        def fake_engine(row):
            asked = {**row, **preprocess(row)}
            if row["sample"] == 1:
                # as ray.data.llm leaves a failed row: all its columns, and the message
                return {**asked, "__inference_error__": "ValueError: prompt too long"}
            return {
                **row,
                "prompt": "<chat>" + asked["messages"][0]["content"],
                "request": asked["request"],
                "generated_text": asked["sampling_params"]["structured_outputs"]["regex"],
                "num_input_tokens": 7,
                "num_generated_tokens": 24 if row["sample"] == 2 else 5,
                "__inference_error__": "",
            }

        return lambda dataset: dataset.map(fake_engine)

    monkeypatch.setattr(stage, "build_processor", fake_build_processor)
    monkeypatch.setattr(stage, "model_source", lambda llm: "/model")
    prompts = some_prompts(3)
    transform = stage.answering(LlmConfig(seed=5), SAMPLING, chat=True)
    blocks = transform(ray.data.from_arrow(prompts)).to_arrow_refs()
    outcome = pa.concat_tables(ray.get(blocks))

    assert outcome.schema.names == stage.OUTCOME.names
    assert outcome["prompt"].to_pylist() == prompts["prompt"].to_pylist()
    first, failed, cut = outcome.slice(0, 3).to_pylist()
    assert first["raw"] == "The robin is (red|green|blue)\\."
    assert (first["finish_reason"], cut["finish_reason"]) == ("stop", "length")
    assert (first["num_prompt_tokens"], first["num_tokens"]) == (7, 5)
    assert json.loads(first["sampling_params"]) == {
        "temperature": 1.0,
        "top_p": 1.0,
        "max_tokens": 24,
        "stop": ["\n"],
        "seed": 5,
    }
    assert (first["error_kind"], first["error_message"]) == ("", "")
    assert (failed["error_kind"], failed["raw"]) == ("llm_error", "")
    assert failed["error_message"] == "class 'robin', prompt 'p': ValueError: prompt too long"


@pytest.mark.parametrize(
    ("gpus", "bundles", "tensor_parallel_size"),
    [
        (0, [{"CPU": 1}], None),
        (0.5, [{"CPU": 1, "GPU": 0.5}], 1),
        (2, [{"CPU": 1, "GPU": 1}] * 2, 2),
    ],
)
def test_an_engine_asks_for_what_it_needs(monkeypatch, gpus, bundles, tensor_parallel_size):
    from gist_ray.llm import generate as stage

    llm = LlmConfig(
        model="owner/model", gpus_per_replica=gpus, num_replicas=3, engine_kwargs={"seed": 9}
    )
    config = stage._processor_config(llm, chat=False)
    asked = [
        {key: value for key, value in bundle.items() if value}
        for bundle in config.placement_group_config["bundles"]
    ]
    assert asked == bundles
    assert config.concurrency == (3, 3)
    assert config.engine_kwargs.get("tensor_parallel_size") == tensor_parallel_size
    assert config.engine_kwargs["seed"] == 9
    assert config.engine_kwargs.get("enforce_eager", False) == (gpus == 0)
    assert "HF_HUB_OFFLINE" not in config.runtime_env["env_vars"]


@pytest.mark.slow
def test_a_real_model_answers_within_the_constraints(ray_local, tmp_path):
    from gist_ray.llm.generate import generate

    prompts = some_prompts(6)
    prompts = with_constraint(prompts, 10, None)
    prompts = with_constraint(prompts, 11, json.dumps({"regex": "(unclosed"}))
    endless = json.dumps([{"role": "user", "content": "Describe it. " * 300}])
    prompts = with_cell(prompts, 9, "prompt", endless)
    store = ArtifactStore(str(tmp_path))
    writer = store.writer("texts", "texts", {}, inputs={})
    llm = LlmConfig(gpus_per_replica=0, max_model_len=256)
    generate(prompts, llm, sampling=SAMPLING, chat=True, writer=writer, progress=Progress())
    artifact = writer.publish(1.0)

    answers = artifact.read()
    assert answers.schema == ANSWERS
    rows = {row["text_id"]: row for row in answers.to_pylist()}
    too_long, free, broken = prompts["text_id"].to_pylist()[-3:]
    assert rows.keys() == set(prompts["text_id"].to_pylist()) - {broken, too_long}
    for text_id, row in rows.items():
        if text_id != free:
            assert re.fullmatch(json.loads(row["constraint"])["regex"], row["raw"])
        assert 0 < row["num_tokens"] <= 24
    assert rows[free]["raw"].strip()
    errors = {row["id"]: row for row in artifact.read_errors().to_pylist()}
    kinds = {text_id: row["kind"] for text_id, row in errors.items()}
    assert kinds == {broken: "llm_error", too_long: "too_long"}
    assert all(row["message"].startswith("class 'crow', prompt 'p': ") for row in errors.values())

    # a second call finds everything stored and starts no engine
    again = store.writer("texts", "texts", {}, inputs={})
    llm_that_is_missing = LlmConfig(model="/nowhere", gpus_per_replica=0)
    generate(
        prompts,
        llm_that_is_missing,
        sampling=SAMPLING,
        chat=True,
        writer=again,
        progress=Progress(),
    )
    assert again.publish(1.0).counts == artifact.counts
