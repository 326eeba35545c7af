"""Folders that belong to one job."""

from dataclasses import replace
from pathlib import Path

import pytest

from gist_ray.errors import UserError
from gist_ray.run.claim import Claim, check_claim, make_claim
from gist_ray.store import storage


@pytest.fixture
def claim(tmp_path: Path) -> Claim:
    return Claim(
        folder=str(tmp_path / "out"),
        file="pack.json",
        job="pack",
        kept="packed set",
        settings={"quality": 92, "data": {"path": "x"}, "max_side_px": None},
    )


def test_a_claim_is_for_its_own_settings(claim: Claim) -> None:
    check_claim(claim)
    make_claim(claim)
    check_claim(claim)
    other = replace(claim, settings={**claim.settings, "quality": 90, "max_side_px": 64})
    with pytest.raises(UserError, match=r"another packed set .* \(max_side_px, quality differ\)"):
        make_claim(other)
    check_claim(claim)


def test_a_setting_that_the_claim_does_not_name_differs_also_where_it_is_none(claim: Claim) -> None:
    storage.write_json(claim.uri, {"quality": 92, "data": {"path": "x"}})
    with pytest.raises(UserError, match=r"\(max_side_px differ\)"):
        check_claim(claim)


def test_a_folder_of_other_runs_is_refused_and_stays_ones_own_if_they_come_later(
    claim: Claim,
) -> None:
    own, other = (Path(claim.folder) / "runs" / name for name in ("pack", "leaves"))
    own.mkdir(parents=True)
    check_claim(claim)
    other.mkdir()
    with pytest.raises(UserError, match=r"something else is kept here \(leaves\).*out/new"):
        check_claim(claim)
    other.rmdir()
    make_claim(claim)
    other.mkdir()
    check_claim(claim)


def test_a_packed_set_that_nobody_claimed_is_refused(claim: Claim) -> None:
    storage.write_json(f"{claim.folder}/artifact.json", {})
    with pytest.raises(UserError, match=r"something else is kept here \(a packed set\)"):
        check_claim(claim)


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_damaged_claim_is_refused(claim: Claim, content: str) -> None:
    storage.write_text(claim.uri, content)
    with pytest.raises(UserError, match=r"pack\.json: (is not valid JSON|another packed set)"):
        check_claim(claim)
