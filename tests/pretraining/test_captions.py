import pandas as pd
import pytest

from gist_ray.errors import UserError
from gist_ray.pretraining.captions import read_captions
from gist_ray.schema import PAIRS

ROWS = [
    {"image": "a.png", "captions": ["one", "first"], "split": "train", "group": ""},
    {"image": "/else/b.png", "captions": ["two"], "split": "val", "group": ""},
    {"image": "s3://bucket/c.png", "captions": ["three"], "split": "test", "group": "far"},
]


def written(tmp_path, rows, drop=()):
    path = tmp_path / "captions.parquet"
    pd.DataFrame(rows).drop(columns=list(drop)).to_parquet(path)
    return str(path)


def test_paths_are_relative_to_the_table(tmp_path):
    table = read_captions(written(tmp_path, ROWS))
    assert table.train.schema == PAIRS
    assert table.train["uri"].to_pylist() == [f"{tmp_path}/a.png"]
    assert table.train["captions"].to_pylist() == [["one", "first"]]
    assert table.val["uri"].to_pylist() == ["/else/b.png"]
    assert table.test["uri"].to_pylist() == ["s3://bucket/c.png"]
    assert table.groups == ["far"]


def test_groups_may_be_left_out(tmp_path):
    assert read_captions(written(tmp_path, ROWS, drop=["group"])).groups == [""]


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    rows = [
        {"image": "", "captions": ["one"], "split": "train"},
        {"image": "b.png", "captions": [], "split": "train"},
        {"image": "c.png", "captions": ["three"], "split": "dev"},
    ]
    with pytest.raises(UserError) as raised:
        read_captions(written(tmp_path, rows))
    said = "\n".join(raised.value.problems)
    assert "column 'image' is empty or unknown in 1 rows (first: row 1)" in said
    assert "column 'captions' is empty or unknown in 1 rows (first: row 2)" in said
    assert "column 'split' is empty or unknown in 1 rows (first: row 3)" in said
    assert "has no val rows" in said
    assert "has no test rows" in said


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no column 'captions'"):
        read_captions(written(tmp_path, ROWS, drop=["captions"]))


def test_a_column_of_another_type_is_named(tmp_path):
    rows = [{**row, "captions": "one"} for row in ROWS]
    with pytest.raises(UserError, match="not of its type"):
        read_captions(written(tmp_path, rows))


def test_no_file_and_no_table_are_told_apart(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_captions(str(tmp_path / "none.parquet"))
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(UserError, match="not a Parquet file"):
        read_captions(str(tmp_path / "text.parquet"))
