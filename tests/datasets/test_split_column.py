import json

import pytest

from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from tests.datasets.ingesting import ingest

ROWS = [(f"{n}.jpg", "ab"[n % 2], "train" if n < 6 else "test") for n in range(10)]


def write(tmp_path, write_files, column: str, values=None) -> str:
    rows = [
        {"image": image, "label": label, column: values[n] if values else split}
        for n, (image, label, split) in enumerate(ROWS)
    ]
    text = "\n".join(map(json.dumps, rows))
    return write_files(tmp_path, {"m.jsonl": text}) + "/m.jsonl"


def splits(path: str, **values: object) -> list[str]:
    manifest, _ = ingest(DataConfig(layout="manifest", path=path, val_fraction=0, **values))
    found: list[str] = manifest.column("split").to_pylist()
    return found


@pytest.mark.parametrize("column", ["Split", " split", "SPLIT ", "sPlit"])
def test_the_column_is_found_in_any_case_and_with_white_space(tmp_path, write_files, column):
    assert splits(write(tmp_path, write_files, column)) == [split for *_, split in ROWS]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("set", None),
        ("what", ["Training"] * 6 + ["Testing"] * 4),
        ("Usage", ["Training"] * 6 + ["PublicTest"] * 2 + ["PrivateTest"] * 2),
        ("is_train", [1] * 6 + [0] * 4),
        ("is_training_image", [True] * 6 + [False] * 4),
        ("fold", [0, 1, 2, 3, 4] * 2),
        ("phase", ["train"] * 9 + [None]),
    ],
)
def test_a_column_that_looks_like_it_refuses_the_run(tmp_path, write_files, column, values):
    if column == "phase":
        values = ["train"] * 8 + ["infer"] + [None]
    path = write(tmp_path, write_files, column, values)
    with pytest.raises(UserError, match=rf"the column '{column}' .*looks like .*split_column"):
        splits(path)
    drawn = splits(path, split_column="")
    assert drawn.count("test") == 2


def test_values_of_ones_own_are_named(tmp_path, write_files):
    values = ["Training"] * 6 + ["PublicTest"] * 2 + ["PrivateTest"] * 2
    path = write(tmp_path, write_files, "Usage", values)
    names = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
    found = splits(path, split_column="Usage", split_names=names)
    assert found == ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    _, errors = ingest(
        DataConfig(
            layout="manifest", path=path, split_column="Usage", split_names={"Training": "train"}
        )
    )
    assert set(errors.column("kind").to_pylist()) == {"bad_split"}
    with pytest.raises(ValueError, match="a split is one of train, val, test"):
        DataConfig(layout="manifest", path=path, split_names={"Training": "traning"})


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("site", ["north"] * 5 + ["south"] * 5),
        ("subset", [f"s{n}" for n in range(10)][:1] * 10),
        ("note", ["train station", "test bench"] * 5),
        ("valid", ["yes"] * 10),
    ],
)
def test_other_columns_are_attributes(tmp_path, write_files, column, values):
    assert splits(write(tmp_path, write_files, column, values)).count("test") == 2


def test_two_such_columns_are_refused(tmp_path, write_files):
    rows = [{"image": i, "label": c, "Split": s, "SPLIT": s} for i, c, s in ROWS]
    text = "\n".join(map(json.dumps, rows))
    with pytest.raises(UserError, match=r"'Split', 'SPLIT' differ only in case"):
        splits(write_files(tmp_path, {"m.jsonl": text}) + "/m.jsonl")
