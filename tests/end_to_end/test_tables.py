"""The code blocks of docs/tables.md, one after the other, over a stored run."""

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OF_THE_PAGE = 'root, name = Path("results"), "butterflies"'


@pytest.fixture(scope="module")
def names(finished: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the code of the page leaves, run over a tiny run of two shots."""
    assert len(BLOCKS) == 6
    code = "\n".join(BLOCKS).replace("5-shot", "2-shot")
    assert OF_THE_PAGE in code
    code = code.replace(OF_THE_PAGE, f'root, name = Path({finished!r}), "tiny"')
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        # what data sets keep of a file is kept for this test alone
        patch.setenv("HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("datasets")))
        exec(compile(code, "docs/tables.md", "exec"), found)
    return found


def test_pandas_joins_texts_to_pictures(names: dict[str, Any]) -> None:
    best = names["best"]
    assert len(best) == 48
    assert (best.class_name_x == best.class_name_y).all()
    assert best.similarity.between(-1, 1).all()
    top1 = names["top1"]
    of_probe = top1[top1.method == "linear_probe"]
    assert set(of_probe.features) >= {"frozen", "gist"}


def test_pandas_has_the_vectors_and_what_was_wrong(names: dict[str, Any]) -> None:
    assert names["matrix"].shape == (72, 128)
    assert (names["matrix"] ** 2).sum(axis=1) == pytest.approx(1, abs=1e-4)
    top1 = names["top1"]
    is_of_gist = (top1.features == "gist") & (top1.method == "linear_probe")
    of_gist = top1[is_of_gist].value.item()
    assert len(names["wrong"]) == round((1 - of_gist) * len(names["predictions"]))


def test_duckdb_finds_the_match_again(names: dict[str, Any]) -> None:
    """Nearest of all texts is of the own class for nearly every picture, and then the match."""
    assert len(names["nearest"]) == 72
    joined = names["best"].merge(names["nearest"], on="image_id", suffixes=("", "_found"))
    assert len(joined) == 48
    same = joined.text_id == joined.text_id_found
    assert same.mean() > 0.5
    assert (joined.cosine >= joined.similarity - 1e-5).all()
    assert (joined.cosine - joined.similarity)[same].abs().max() < 1e-5


def test_datasets_show_the_pictures(names: dict[str, Any]) -> None:
    test = names["test"]
    assert len(test) == 16
    assert test[0]["image"].size == (64, 64)
    assert names["vectors"][0]["embedding"].shape == (128,)
