"""A finished run, for Python code."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gist_ray.run.runs import run_folder
from gist_ray.store import storage

if TYPE_CHECKING:
    import pandas as pd

METRICS = "metrics.parquet"
REPORT = "report.html"


@dataclass(frozen=True)
class FinishedRun:
    """The results of a finished run."""

    root: str
    """Folder or s3://bucket/prefix where artifacts and runs are kept."""

    name: str
    """Name of the run in `root`."""

    @property
    def folder(self) -> str:
        """Returns the folder of the run's results: absolute path or URI."""
        return run_folder(self.root, self.name)

    @property
    def report(self) -> str:
        """Returns the place of the HTML report: absolute path or URI."""
        return storage.join(self.folder, REPORT)

    @property
    def metrics(self) -> "pd.DataFrame":
        """Returns metrics.parquet (docs/tables.md) as a data frame; it is read at every access."""
        return storage.read_parquet(storage.join(self.folder, METRICS)).to_pandas()
