"""A classifier's folder while it is written."""

from pathlib import Path

import pytest

from gist_ray.errors import UserError
from gist_ray.predict.folder import load_classifier
from tests.predict.made import write_classifier


def test_a_folder_that_is_written_again_is_no_classifier_until_all_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classifier(tmp_path)
    load_classifier(str(tmp_path))

    def killed(*arguments: object) -> None:
        raise ConnectionError("the machine went away")

    monkeypatch.setattr("gist_ray.predict.folder.save_fitted", killed)
    with pytest.raises(ConnectionError):
        write_classifier(tmp_path)
    # the model may be of the new one and the rest of the old one
    with pytest.raises(UserError, match=r"there is no classifier\.json"):
        load_classifier(str(tmp_path))
