from pathlib import Path

import pytest

from gist_ray.errors import UserError
from gist_ray.settings.commandline import group_choices


def test_choices_of_the_project_and_of_ones_own_folder(tmp_path: Path) -> None:
    (tmp_path / "embed").mkdir()
    (tmp_path / "embed" / "tpu.yaml").write_text("{}\n")
    assert group_choices()["embed"] == {"cpu", "gpu"}
    assert group_choices(tmp_path)["embed"] == {"cpu", "gpu", "tpu"}
    with pytest.raises(UserError, match="there is no such folder"):
        group_choices(tmp_path / "none")
