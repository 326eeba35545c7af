"""Which folders of a run all machines of a cluster have to see."""

from pathlib import Path

from gist_ray.datasets.config import DataConfig
from gist_ray.encoders.config import LOCAL_MODEL
from gist_ray.store import storage
from gist_ray.study.config import RunConfig


def shared_folders(config: RunConfig) -> dict[str, str]:
    """{setting: folder or URI} of all that workers read or write below.

    Files that the driver alone reads (texts, notes, a table of images) are not among them.
    """
    folders = {"root": config.root}
    if isinstance(config.data, DataConfig) and storage.is_folder(config.data.path):
        folders["data.path"] = config.data.path
    for name, clip in (("clip", config.clip), ("matcher", config.matcher)):
        if clip and clip.model.startswith(LOCAL_MODEL):
            folders[f"{name}.model"] = clip.model.removeprefix(LOCAL_MODEL)
    if not config.texts.import_from and Path(config.llm.model).expanduser().is_dir():
        folders["llm.model"] = str(Path(config.llm.model).expanduser())
    return folders
