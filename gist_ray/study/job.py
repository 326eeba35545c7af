"""The study as a job: its checks, its graph and its results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial

from gist_ray.datasets.config import DataConfig
from gist_ray.datasets.first_look import look_at_pictures
from gist_ray.datasets.overview import about_images, about_shots
from gist_ray.encoders.clip import check_weights_of
from gist_ray.encoders.config import LOCAL_MODEL
from gist_ray.encoders.config import resources_of as embed_resources
from gist_ray.errors import UserError
from gist_ray.finetune.config import resources_of as finetune_resources
from gist_ray.llm.config import folders_of as llm_folders
from gist_ray.llm.config import model_problems
from gist_ray.llm.config import resources_of as llm_resources
from gist_ray.report.wording import about_no_test
from gist_ray.run.cluster import relative_in_job
from gist_ray.run.job import Job, resource_problems, why_no_root
from gist_ray.run.stage import Done
from gist_ray.schema import num_labelled, test_sets
from gist_ray.settings.check import missing_files
from gist_ray.store import storage
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.store.reachable import why_unwritable
from gist_ray.study.config import RunConfig
from gist_ray.study.data import read_data
from gist_ray.study.graph import Measure, ReadData, StudyGraph, build_graph
from gist_ray.study.results import write_results
from gist_ray.texts.long_names import long_names
from gist_ray.texts.prompt_set import prompt_set_problems


def study_job(config: RunConfig) -> Job:
    """Returns the job of a run. Raises UserError with all problems that can be seen before work."""
    graph = plan(config, ArtifactStore(config.root))
    names = long_names(config.clip, config.prompts, graph.data.classes)
    if names.problems:
        raise UserError(names.problems)
    lines = [*understood(config, graph), *names.warnings]

    def finish(store: ArtifactStore, done: Mapping[str, Done]) -> Sequence[str]:
        return write_results(config, store, graph, done=done, about=lines)

    return Job(
        command="run",
        name=config.name,
        config=config,
        root=config.root,
        stages=graph.stages,
        finish=finish,
        max_failed_fraction=config.max_failed_fraction,
        about=lines,
    )


def plan(
    config: RunConfig,
    store: ArtifactStore,
    *,
    measure: Measure = "test",
    read: ReadData = read_data,
) -> StudyGraph:
    """Returns the graph of a run. Raises UserError with all problems that can be seen before
    work."""
    problems = [f"prompts.{problem}" for problem in prompt_set_problems(config.prompts)]
    missing = missing_files(RunConfig, asdict(config))
    problems += missing
    if why := why_no_root(config.root) or _why_in_data(config) or why_unwritable(config.root):
        problems.append(f"root={config.root}: {why}.")
    for clip in filter(None, (config.clip, config.matcher)):
        problems += _problems_of(partial(check_weights_of, clip))
    if not config.texts.import_from:
        problems += model_problems(config.llm)
    problems += relative_in_job(folders_of(config))
    problems += resource_problems(
        [
            finetune_resources(config.finetune),
            embed_resources(config.embed),
            llm_resources(config.llm),
        ]
    )
    graph: list[StudyGraph] = []
    if not missing:
        problems += _problems_of(
            lambda: graph.append(build_graph(config, store, measure=measure, read=read))
        )
    problems += [problem for one in graph for problem in _lacking_val(config, one)]
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    return graph[0]


def folders_of(config: RunConfig) -> dict[str, str]:
    """Returns {setting: folder or URI} of all that workers read or write below: every machine of a
    cluster has to see it.

    Files that the driver alone reads (texts, notes, a table of images) are not among them.
    """
    folders = {"root": config.root}
    if isinstance(config.data, DataConfig) and storage.is_folder(config.data.path):
        folders["data.path"] = config.data.path
    for name, clip in (("clip", config.clip), ("matcher", config.matcher)):
        if clip and clip.model.startswith(LOCAL_MODEL):
            folders[f"{name}.model"] = clip.model.removeprefix(LOCAL_MODEL)
    return folders if config.texts.import_from else folders | llm_folders(config.llm)


def understood(config: RunConfig, graph: StudyGraph) -> list[str]:
    """Returns lines on what was understood of the data, after a look at a few pictures unless all
    are embedded already: they may be gone since. Raises UserError as `look_at_pictures` does."""
    data = graph.data
    seen: list[str] = []
    is_drawn = not data.root
    if not is_drawn and not graph.frozen_images.find(ArtifactStore(config.root)):
        seen = look_at_pictures(data.manifest, config.embed.limits, data.root)
    no_test = about_no_test(num_labelled(data.manifest, "val"))
    return [
        *about_images(data.manifest),
        *data.about,
        *([] if test_sets(data.manifest) else [no_test]),
        *about_shots(data.manifest, config.study.shots),
        *seen,
    ]


def _lacking_val(config: RunConfig, graph: StudyGraph) -> list[str]:
    """Returns a problem if an epoch is to be chosen on val and no val image has a label."""
    by = config.finetune.select_by
    if not config.study.trainings or by == "last" or num_labelled(graph.manifest, "val"):
        return []
    return [
        f"finetune.select_by={by}: chooses the epoch of a training on val, and the data set has no "
        "labelled val images. Give it a val split, such as by data.val_fraction=0.1, or set "
        "finetune.select_by=last to train without one."
    ]


def _why_in_data(config: RunConfig) -> str:
    """Returns "" if the root lies outside the data set, else the problem."""
    if isinstance(config.data, DataConfig):
        data = storage.absolute(config.data.path)
        if f"{storage.absolute(config.root)}/".startswith(f"{data}/"):
            return f"lies in the data set {data}, which is only read. Choose a folder outside it"
    return ""


def _problems_of(check: Callable[[], object]) -> list[str]:
    try:
        check()
    except UserError as error:
        return error.problems
    return []
