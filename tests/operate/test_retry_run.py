"""What is said before a retry."""

from collections.abc import Callable
from typing import Any

import pytest

from gist_ray.errors import UserError
from gist_ray.operate.retry import candidates
from gist_ray.operate.retry_run import print_retries, read_config, say_what_changed
from gist_ray.run.flow import Stage
from gist_ray.store import storage


def test_stages_that_are_others_than_the_run_planned_are_named(
    at: Any, make_stage: Callable[..., Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    same, other = make_stage("same"), make_stage("other")
    at.plan("tiny", same, make_stage("other", same))
    say_what_changed(at.root, "tiny", [same])
    assert capsys.readouterr().out == ""
    say_what_changed(at.root, "tiny", [same, other])
    assert "1 stages are made anew as a whole: other." in capsys.readouterr().out


def test_what_would_be_tried_and_made_anew(
    at: Any, make_stage: Callable[..., Stage], capsys: pytest.CaptureFixture[str]
) -> None:
    embed = make_stage("embed images")
    tune = make_stage("finetune", embed)
    failed = {"throttled": 2, "corrupt": 1}
    storage.write_text(f"{at.make(embed, failed=failed).uri}/failed/a", "")
    at.make(tune)
    (found,) = candidates([embed, tune], at.store, {"throttled", "network"})
    assert dict(found.kinds) == {"throttled": 2}
    assert found.made_from_it == [("fake", tune.fingerprint)]
    print_retries("tiny", [found])
    shown = capsys.readouterr().out
    assert "2 throttled" in shown
    assert "1 fake" in shown
    (all_kinds,) = candidates([embed], at.store, None)
    assert len(all_kinds.ids) == 3
    print_retries("tiny", [])
    assert "no failed rows of these kinds" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "name: [", "name: tiny\nfinetune: 3"])
def test_a_config_that_cannot_be_read_is_said(at: Any, content: str | None) -> None:
    if content is not None:
        storage.write_text(f"{at.root}/runs/tiny/config.yaml", content)
    with pytest.raises(UserError, match=r"no config\.yaml|is not valid YAML|finetune"):
        read_config(at.root, "tiny")
