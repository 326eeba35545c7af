"""Messages before a retry, and the job that is read for it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest
import yaml

from gist_ray.errors import UserError
from gist_ray.operate.jobs import read_job
from gist_ray.operate.retry import candidates
from gist_ray.operate.retry_run import print_retries, say_what_changed
from gist_ray.run.stage import Stage
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store import storage
from gist_ray.study.config import RunConfig


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
        read_job(at.root, "tiny")


def test_a_run_whose_folder_was_moved_is_the_one_of_its_new_place(at: Any) -> None:
    """Its results are written where it was found."""
    before = ["name=before", "root=elsewhere"]
    config: RunConfig = build(RunConfig, compose_values("config", before))
    storage.write_text(f"{at.root}/runs/after/config.yaml", yaml.safe_dump(asdict(config)))
    storage.write_json(f"{at.root}/runs/after/plan.json", {"stages": []})  # of an older version
    job = read_job(at.root, "after")
    assert (job.command, job.name, job.root) == ("run", "after", at.root)
    assert (job.config.name, job.config.root) == ("after", at.root)


def test_a_run_of_a_command_without_rows_to_try_again_is_said(
    at: Any, make_stage: Callable[..., Stage]
) -> None:
    at.plan("tiny", make_stage("a"), command="pretrain")
    storage.write_text(f"{at.root}/runs/tiny/config.yaml", "seed: 1")
    with pytest.raises(UserError, match=r"--run tiny: is a run of pretrain\. Start that command"):
        read_job(at.root, "tiny")
