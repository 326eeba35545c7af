import pytest

from gist_ray.datasets.alike import look_of
from gist_ray.datasets.config import DataConfig
from gist_ray.errors import UserError
from tests.datasets.ingesting import ingest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna's Hummingbird", "Anna’s Hummingbird"),
        ("Black-footed Albatross", "Black–footed Albatross"),
        ("Black-footed Albatross", "Black\u2011footed albatross"),
        ("black_bird", "black bird"),
        ("Ca\u00f1on wren", "Can\u0303on wren"),
        ("jay", "jay\u200b"),
        ("a \u00a0b", "a b"),
        ("007", "7"),
        ("part 07", "part 7"),
        ('6" pipe', "6” pipe"),
    ],
)
def test_names_that_look_alike(one, other):
    assert look_of(one) == look_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("-1", "1"), ("70", "7"), ("00", "000 1"), ("C", "C++"), ("a.b", "a b")]
)
def test_names_that_do_not(one, other):
    assert look_of(one) != look_of(other)


def table(tmp_path, write_files, labels):
    lines = "\n".join(f"{n}.jpg,{label}" for n, label in enumerate(labels))
    return write_files(tmp_path, {"m.csv": f"image,label\n{lines}\n"}) + "/m.csv"


def test_they_are_refused_with_spellings_and_rows_or_made_one(tmp_path, write_files):
    labels = ["Anna's Hummingbird"] * 5 + ["Anna’s Hummingbird"] * 5 + ["jay"] * 5
    path = table(tmp_path, write_files, labels)
    with pytest.raises(UserError, match=r"look alike. Rename one, or make them one") as told:
        ingest(DataConfig(layout="manifest", path=path))
    assert f'"Anna\'s Hummingbird" ({path}, row 1)' in str(told.value)
    assert f"'Anna\\u2019s Hummingbird' ({path}, row 6)" in str(told.value)
    joined, _ = ingest(DataConfig(layout="manifest", path=path, join_alike=True))
    assert joined.column("label").to_pylist() == [0] * 10 + [1] * 5
    assert set(joined.column("class_name").to_pylist()) == {"Anna's Hummingbird", "jay"}


def test_numbers_of_classes_with_and_without_zeros(tmp_path, write_files):
    path = table(tmp_path, write_files, ["007"] * 4 + ["7"] * 4 + ["8"] * 4 + ["07"] * 4)
    with pytest.raises(UserError, match=r"the classes '007' \(.*'07' \(.*'7' \(.*look alike"):
        ingest(DataConfig(layout="manifest", path=path))
    joined, _ = ingest(DataConfig(layout="manifest", path=path, join_alike=True))
    assert sorted(set(joined.column("label").to_pylist())) == [0, 1]


def test_folders_that_differ_in_an_underscore_alone(tmp_path, write_files):
    write_files(tmp_path, {"black bird/1.jpg": "", "black_bird/1.jpg": "", "jay/1.jpg": ""})
    with pytest.raises(UserError, match=r"'black bird' \(.*'black_bird' \(.*look alike"):
        ingest(DataConfig(layout="image_folder", path=str(tmp_path)))


def test_a_split_keeps_its_images_where_classes_are_joined(tmp_path, write_files):
    rows = [f"{n}.jpg,{c},{s}" for n, (c, s) in enumerate([("7", "train"), ("07", "test")])]
    path = write_files(tmp_path, {"m.csv": "\n".join(["image,label,split", *rows])}) + "/m.csv"
    joined, _ = ingest(DataConfig(layout="manifest", path=path, join_alike=True))
    assert joined.column("split").to_pylist() == ["train", "test"]
