"""What is in a stage's fingerprint: everything that changes its result, and nothing else."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from gist_ray.errors import UserError
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import Key, StudyGraph, build_graph

TINY = [
    "data.num_genera=1",
    "data.species_per_genus=2",
    "data.train_per_species=2",
    "data.val_per_species=1",
    "data.test_per_species=1",
    "study.shots=[1]",
    "study.seeds=[1]",
]


EVALUATION = {"fit", "predict", "measure"}


def graph(*overrides: str, root: str = "memory://nowhere") -> StudyGraph:
    config: RunConfig = build(RunConfig, compose_values("config", [*TINY, *overrides]))
    return build_graph(config, ArtifactStore(root))


def fingerprints(*overrides: str, root: str = "memory://nowhere") -> dict[str, str]:
    """{name of a stage: its fingerprint}."""
    return {stage.name: stage.fingerprint for stage in graph(*overrides, root=root).stages}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return fingerprints()


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """First words of the names of stages whose artifact has to be made anew."""
    assert before.keys() == after.keys()
    return {name.split()[0] for name in before if before[name] != after[name]}


def test_stages_follow_their_inputs_and_have_unique_names() -> None:
    stages = graph("study.shots=[1,full]", "study.seeds=[1,2]").stages
    seen: set[str] = set()
    for stage in stages:
        assert {source.name for source in stage.inputs.values()} <= seen
        assert stage.name not in seen
        seen.add(stage.name)
    assert {"sample all images", "match gist", "match random seed 2"} <= seen


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "max_failed_fraction=0.5",
        "embed.batch_size=8",
        "embed.max_workers=9",
        "embed.rows_per_part=3",
        "embed.max_decoders=5",
        "llm.batch_size=4",
        "llm.num_replicas=3",
        "llm.cpus_per_replica=2",
        "llm.texts_per_file=7",
        "finetune.cpus_per_worker=2",
        "finetune.cache_mib=0",
        "finetune.max_failures=0",
        "study.trainings=[gist,random,class_name]",
    ],
)
def test_what_only_changes_speed_or_names_changes_no_artifact(
    override: str, before: dict[str, str]
) -> None:
    assert changed(before, fingerprints(override)) == set()


def test_a_drawn_world_may_lie_in_any_store(before: dict[str, str], tmp_path: Path) -> None:
    assert changed(before, fingerprints(root=str(tmp_path))) == set()
    assert graph(root=str(tmp_path)).manifest.column("uri")[0].as_py().startswith(str(tmp_path))


@pytest.mark.parametrize(
    ("override", "remade"),
    [
        ("matching.k=2", {"match", "statistics", "finetune", "embed", *EVALUATION}),
        ("finetune.batch_size=32", {"finetune", "embed", *EVALUATION}),
        ("evaluation.num_bootstrap=10", {"measure"}),
        ("methods.linear_probe.max_iter=10", EVALUATION),
        (
            "prompts.caption_prefix='x:'",
            {"clean", "match", "statistics", "finetune", "embed", *EVALUATION},
        ),
        # the texts of the classes are another set, so that no match is made anew
        ("prompts.zero_shot_templates=['a {}.']", {"class", "embed", "finetune", *EVALUATION}),
        (
            "prompts.sampling.temperature=0.5",
            {"generate", "clean", "embed", "match", "statistics", "finetune", *EVALUATION},
        ),
        (
            "texts.cleaning.near_duplicate=0.5",
            {"clean", "embed", "match", "statistics", "finetune", *EVALUATION},
        ),
    ],
)
def test_what_changes_a_result_remakes_it_and_what_follows(
    override: str, remade: set[str], before: dict[str, str]
) -> None:
    assert changed(before, fingerprints(override)) == remade


def test_stages_say_which_gpus_they_keep_busy() -> None:
    words = ["embed=gpu", "finetune.gpus_per_worker=0.5", "finetune.num_workers=2"]
    busy = {stage.name.split()[0]: stage.resources.gpus for stage in graph(*words).stages}
    wants = {"embed": 1, "finetune": 1, "generate": 1}
    assert busy == {**dict.fromkeys(busy, 0), **wants}


def test_another_k_embeds_nothing_of_the_untrained_model_anew(before: dict[str, str]) -> None:
    after = fingerprints("matching.k=2")
    for name in (
        "embed images frozen",
        "embed class texts frozen",
        "embed names texts frozen",
        "finetune class_name 1-shot seed 1",
    ):
        assert before[name] == after[name]
    assert before["finetune gist 1-shot seed 1"] != after["finetune gist 1-shot seed 1"]


def test_other_templates_embed_no_image_anew(before: dict[str, str]) -> None:
    after = fingerprints("prompts.zero_shot_templates=['a {}.']")
    assert before["embed images frozen"] == after["embed images frozen"]
    assert before["embed class texts frozen"] == after["embed class texts frozen"]
    assert before["embed names texts frozen"] != after["embed names texts frozen"]


def test_runs_that_differ_in_seeds_share_all_that_does_not_depend_on_them(
    before: dict[str, str],
) -> None:
    more = fingerprints("study.seeds=[1,2]")
    assert {name: more[name] for name in before} == before
    other = fingerprints("study.seeds=[2]")
    shared = set(before.values()) & set(other.values())
    # the first seed is also that of the intervals of what no draw changes
    by_seed = {before[name] for name in before if "seed" in name or name == "measure frozen"}
    assert shared == set(before.values()) - by_seed


def test_a_class_name_match_is_the_class_name_training() -> None:
    stages = {stage.name: stage for stage in graph("matching=class_name").stages}
    gist, plain = (stages[f"finetune {name} 1-shot seed 1"] for name in ("gist", "class_name"))
    assert gist.fingerprint == plain.fingerprint
    assert "match gist" not in stages


def test_a_second_round_matches_by_the_tuned_model_and_begins_from_the_weights_as_they_came() -> (
    None
):
    stages = {stage.name: stage for stage in graph("matching.rounds=2").stages}
    tuned, again = (stages[f"finetune gist 1-shot seed 1{name}"] for name in ("", " round 2"))
    match = again.inputs["matches"]
    assert match.name == "match gist 1-shot seed 1 round 2"
    for embeddings in ("image_embeddings", "text_embeddings"):
        assert match.inputs[embeddings].inputs["tuned"] is tuned
    assert match.inputs["shots"] is tuned.inputs["shots"]
    # nothing of the first round but the matches
    assert again.identity == tuned.identity
    assert "tuned" not in again.inputs
    for verb in ("fit", "predict"):
        evaluation = stages[f"{verb} linear_probe on gist 1-shot seed 1"]
        assert evaluation.inputs["image_embeddings"].inputs["tuned"] is again
    assert "statistics of match gist 1-shot seed 1 round 2" in stages


def is_evaluation(name: str, of: str) -> bool:
    return name.split()[0] in EVALUATION and f"{of} 1-shot seed 1" in name


def test_rounds_share_what_came_before(before: dict[str, str]) -> None:
    one_and_two = fingerprints("matching.rounds=2")
    last = {name for name in before if is_evaluation(name, "gist")}
    not_needed = {"embed names texts gist 1-shot seed 1", "statistics of match gist"}
    assert before.keys() - one_and_two.keys() == not_needed
    kept = before.keys() - last - not_needed
    assert {name: one_and_two[name] for name in kept} == {name: before[name] for name in kept}
    assert len(last) == 4 + 4 + 1
    assert all(one_and_two[name] != before[name] for name in last)
    three = fingerprints("matching.rounds=3")
    assert one_and_two.keys() - three.keys() == {
        "embed names texts gist 1-shot seed 1 round 2",
        "statistics of match gist 1-shot seed 1 round 2",
    }
    kept = (one_and_two.keys() & three.keys()) - last
    assert all(one_and_two[name] == three[name] for name in kept)


def test_rounds_of_all_images_are_a_match_for_each_seed() -> None:
    stages = graph("matching.rounds=2", "study.shots=[full]", "study.seeds=[1,2]").stages
    again = [stage for stage in stages if stage.name.startswith("match gist all images")]
    assert [stage.name for stage in again] == [
        f"match gist all images seed {seed} round 2" for seed in (1, 2)
    ]
    assert len({stage.fingerprint for stage in again}) == 2


def test_controls_have_one_round() -> None:
    stages = graph("matching.rounds=2", "study.trainings=[gist,random,any_class]").stages
    again = [stage.name for stage in stages if stage.name.endswith("round 2")]
    assert len(again) == 6  # the match, the training, three embeddings and the statistics
    assert all(" gist " in name for name in again)


class FolderOfPictures:
    """Two classes of pictures, and imported texts, as a user has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for split in ("train", "test"):
            for name in ("wren", "robin"):
                self.picture(f"{split}/{name}/1.png")
        self.pairs = {
            f"{split}/{name}/1.png": ["Small.", "Brown."] if name == "wren" else ["Red."]
            for split in ("train", "test")
            for name in ("wren", "robin")
        }
        self.notes: dict[str, Any] = {"wren": {"": {"back": "brown"}}}
        self.texts: dict[str, list[str]] = {"wren": ["Small."], "robin": ["Red."]}

    def picture(self, path: str) -> None:
        target = self.folder / "images" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(target)

    def fingerprints(self, *overrides: str) -> dict[str, str]:
        storage.write_json(str(self.folder / "notes.json"), self.notes)
        storage.write_json(str(self.folder / "texts.json"), self.texts)
        storage.write_json(str(self.folder / "pairs.json"), self.pairs)
        values = compose_values(
            "config",
            [
                "data=image_folder",
                f"data.path={self.folder}/images",
                "prompts=generic",
                "study.shots=[1]",
                "study.seeds=[1]",
                f"texts.notes={self.folder}/notes.json",
                *overrides,
            ],
        )
        stages = build_graph(build(RunConfig, values), ArtifactStore(str(self.folder / "r"))).stages
        return {stage.name: stage.fingerprint for stage in stages}


def test_changed_files_are_changed_inputs(tmp_path: Path) -> None:
    own = FolderOfPictures(tmp_path)
    imported = f"texts.import_from={tmp_path}/texts.json"
    first, first_imported = own.fingerprints(), own.fingerprints(imported)
    own.texts["wren"] = ["Tiny."]
    assert "import" in changed(first_imported, own.fingerprints(imported))
    assert changed(first, own.fingerprints()) == set()
    own.picture("train/wren/2.png")
    remade = changed(first, own.fingerprints())
    following = {"embed", "match", "statistics", "finetune", *EVALUATION}
    assert remade == {"manifest", "sample", *following}


def test_imported_pairs_are_other_matches_and_leave_what_does_not_use_them(tmp_path: Path) -> None:
    own = FolderOfPictures(tmp_path)
    imported = f"texts.import_from={tmp_path}/pairs.json"
    matched, paired = own.fingerprints(imported), own.fingerprints(imported, "texts.use_pairs=true")
    assert {"import", "match", "statistics", "finetune"} <= changed(matched, paired)
    for name in ("embed images frozen", "finetune class_name 1-shot seed 1"):
        assert matched[name] == paired[name]
    fewer = own.fingerprints(imported, "texts.use_pairs=true", "matching.k=1")
    assert paired["import texts"] == fewer["import texts"]
    assert paired["match gist"] != fewer["match gist"]
    own.pairs["train/wren/1.png"].reverse()
    assert "match" in changed(paired, own.fingerprints(imported, "texts.use_pairs=true"))


def test_texts_of_classes_have_no_pairs_to_train_on(tmp_path: Path) -> None:
    own = FolderOfPictures(tmp_path)
    with pytest.raises(
        UserError, match=r"texts\.use_pairs=true: .*texts\.json has texts of classes"
    ):
        own.fingerprints(f"texts.import_from={tmp_path}/texts.json", "texts.use_pairs=true")


def test_images_that_a_file_of_pairs_has_besides(tmp_path: Path) -> None:
    own = FolderOfPictures(tmp_path)
    own.pairs["train/wren/2.png"] = ["Gone."]
    words = (f"texts.import_from={tmp_path}/pairs.json", "texts.use_pairs=true")
    with pytest.raises(UserError, match=r"1 images are not in the manifest: 'train/wren/2\.png'"):
        own.fingerprints(*words)
    assert "match gist" in own.fingerprints(*words, "texts.unknown_images=skip")


def test_a_fact_that_no_prompt_has_still_decides_what_contradicts_the_notes(tmp_path: Path) -> None:
    own = FolderOfPictures(tmp_path)
    one_fact = (
        "prompts.prompts=[{id: p, template: Notes}]",
        "prompts.samples_per_prompt=1",
        "prompts.facts_per_text=[1]",
    )
    own.notes["wren"][""] = {"back": "brown", "belly": "white"}
    first = own.fingerprints(*one_fact)
    remade = []
    for fact in ("back", "belly"):
        before = own.notes["wren"][""][fact]
        own.notes["wren"][""][fact] = "grey"
        remade.append(changed(first, own.fingerprints(*one_fact)))
        own.notes["wren"][""][fact] = before
    assert all("clean" in words for words in remade)
    assert not all("generate" in words for words in remade)


def test_other_weights_in_the_same_folder_are_another_model(tmp_path: Path) -> None:
    from gist_ray.encoders.clip import embedded_folder

    folder = tmp_path / "model"
    shutil.copytree(embedded_folder(), folder)
    before = fingerprints(f"clip.model=local-dir:{folder}")
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    remade = changed(before, fingerprints(f"clip.model=local-dir:{folder}"))
    assert remade == {"clean", "embed", "match", "statistics", "finetune", *EVALUATION}


def test_manifest_of_a_world_has_its_pictures_below_the_root() -> None:
    manifest: pa.Table = graph(root="s3://bucket/root").manifest
    assert manifest.num_rows == 8
    assert manifest.column("uri")[0].as_py().startswith("s3://bucket/root/artifacts/pictures/")


def test_a_further_method_remakes_nothing_but_the_metrics_of_the_draw(
    before: dict[str, str],
) -> None:
    names = "linear_probe,zero_shot_name,zero_shot_texts,zero_shot_best_texts"
    more = fingerprints(f"methods=[{names},nearest_class_mean]")
    changed_names = {name for name in before if more[name] != before[name]}
    assert changed_names == {
        f"measure {features} 1-shot seed 1"
        for features in ("frozen", "class_name", "random", "gist")
    }
    assert all("nearest_class_mean" in name for name in more.keys() - before.keys())


def test_names_are_embedded_where_a_method_reads_them() -> None:
    names = {stage.name for stage in graph("methods=[linear_probe,zero_shot_texts]").stages}
    assert "embed class texts frozen" in names
    assert not [name for name in names if "names" in name]


def test_what_no_draw_changes_is_made_once() -> None:
    found = graph("study.shots=[1,2]", "study.seeds=[1,2]")
    of_frozen = {key for key in found.results if key.features == "frozen"}
    assert Key("frozen", "zero_shot_name", None, None) in of_frozen
    assert len(of_frozen) == 3 + 4
    same = {
        id(found.result("frozen", "zero_shot_name", shots=n, seed=seed))
        for n in (1, 2)
        for seed in (1, 2)
    }
    assert len(same) == 1
    of_gist = {key for key in found.results if key.features == "gist"}
    assert len(of_gist) == 4 * 4
    of_methods = {
        stage.name: set(stage.inputs) - {"manifest"}
        for stage in found.metrics
        if stage.name.startswith("measure frozen")
    }
    assert of_methods.pop("measure frozen") == {
        f"{name} test" for name in ("zero_shot_name", "zero_shot_texts", "zero_shot_best_texts")
    }
    assert list(of_methods.values()) == [{"linear_probe val", "linear_probe test"}] * 4


def test_every_test_set_of_the_data_is_measured(tmp_path: Path) -> None:
    splits = ["train", "test", "test/night"]
    rows = [
        (f"{name}/{n}.png", name, split) for name in ("a", "b") for n, split in enumerate(splits)
    ]
    lines = ["image,class_name,split", *(",".join(row) for row in rows)]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    words = ["data=manifest", f"data.path={tmp_path}/own.csv", "prompts=generic"]
    values = compose_values("config", [*words, "study.shots=[1]", "study.seeds=[1]"])
    found = build_graph(build(RunConfig, values), ArtifactStore(str(tmp_path / "root")))
    measured = {
        name for stage in found.metrics for name in stage.inputs if name.startswith("linear_probe")
    }
    assert measured == {"linear_probe val", "linear_probe test", "linear_probe test/night"}
    for stage in found.metrics:
        for method in ("linear_probe", "zero_shot_name"):
            if f"{method} test" in stage.inputs:
                of_night = stage.inputs[f"{method} test/night"]
                assert of_night is stage.inputs[f"{method} test"]
