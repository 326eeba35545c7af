import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gist_ray.errors import UserError
from gist_ray.schema import MANIFEST, MATCHES, TEXTS, table
from gist_ray.texts.import_texts import import_texts
from gist_ray.texts.names import normal_form

CLASSES = ("Black footed Albatross", "Brewer Blackbird")


def manifest(classes=CLASSES):
    rows = []
    for label, class_name in enumerate(classes):
        for number in range(2):
            folder = f"{label + 1:03}.{class_name.replace(' ', '_')}"
            rows.append(
                {
                    "image_id": f"{label}-{number}",
                    "uri": f"/data/images/{folder}/{class_name[:5]}_{number}.jpg",
                    "label": label,
                    "class_name": class_name,
                    "split": "train",
                    "attributes": "{}",
                }
            )
    return table(rows, MANIFEST)


def write(tmp_path, content):
    path = tmp_path / "texts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_spellings_of_a_name():
    spellings = (
        "black-footed-albatross\n",
        "001.Black_footed_Albatross",
        " BLACK FOOTED albatross",
    )
    assert {normal_form(name) for name in spellings} == {"black footed albatross"}
    assert normal_form("Brewer's Blackbird") == "brewers blackbird"
    assert normal_form("737-200") == "737 200"


def test_class_texts_with_keys_that_end_in_newlines(tmp_path):
    path = write(
        tmp_path,
        {"brewer-blackbird\n": ["Black."], "black-footed-albatross\n": ["Dark.", '"Pale face."']},
    )
    imported = import_texts(path, manifest())
    assert imported.matches is None
    assert imported.texts.schema == TEXTS
    rows = imported.texts.to_pylist()
    assert [(row["label"], row["text"], row["sample"]) for row in rows] == [
        (0, "Dark.", 0),
        (0, "Pale face.", 1),
        (1, "Black.", 0),
    ]
    assert rows[1]["raw"] == '"Pale face."'
    assert len({row["text_id"] for row in rows}) == 3
    assert {row["set"] for row in rows} == {"class"}


def test_strange_and_lacking_classes_are_all_listed(tmp_path):
    path = write(tmp_path, {"Brewer blackbird": ["x"], "dodo": ["y"], "Moa": ["z"]})
    with pytest.raises(UserError) as caught:
        import_texts(path, manifest())
    assert "2 names are no class of the data set: 'dodo', 'Moa'" in str(caught.value)
    assert "1 classes have no text: 'Black footed Albatross'" in str(caught.value)


def test_a_class_with_an_empty_list(tmp_path):
    path = write(tmp_path, {CLASSES[0]: ["x"], CLASSES[1]: []})
    with pytest.raises(UserError, match="1 classes have no text: 'Brewer Blackbird'"):
        import_texts(path, manifest())


def test_keys_that_mean_one_class(tmp_path):
    path = write(
        tmp_path, {"Brewer Blackbird": ["x"], "brewer_blackbird": ["y"], CLASSES[0]: ["z"]}
    )
    with pytest.raises(UserError, match="'brewer_blackbird' all mean the class 'Brewer Blackbird'"):
        import_texts(path, manifest())


def test_classes_that_cannot_be_told_apart(tmp_path):
    path = write(tmp_path, {"a b": ["x"]})
    with pytest.raises(UserError, match="'A-B', 'a b' differ too little"):
        import_texts(path, manifest(("A-B", "a b")))


def test_captions_of_images(tmp_path):
    path = write(
        tmp_path,
        {
            "001.Black_footed_Albatross/Black_0.jpg": ["dark", "hooked beak", "dark"],
            "elsewhere/Black_1.jpg": ["hooked beak"],
            "002.Brewer_Blackbird/Brewe_1.jpg": ["dark"],
        },
    )
    imported = import_texts(path, manifest())
    assert [(row["label"], row["text"]) for row in imported.texts.to_pylist()] == [
        (0, "dark"),
        (0, "hooked beak"),
        (1, "dark"),
    ]
    assert imported.matches.schema == MATCHES
    texts = {row["text_id"]: row for row in imported.texts.to_pylist()}
    found = [
        (match["image_id"], match["rank"], texts[match["text_id"]]["text"])
        for match in imported.matches.to_pylist()
    ]
    assert found == [
        ("0-0", 0, "dark"),
        ("0-0", 1, "hooked beak"),
        ("0-1", 0, "hooked beak"),
        ("1-1", 0, "dark"),
    ]
    assert all(math.isnan(match["similarity"]) for match in imported.matches.to_pylist())


def test_captions_of_unknown_images(tmp_path):
    captions = {"Black_0.jpg": ["a"], "Brewe_0.jpg": ["b"], "x/none.jpg": ["c"]}
    path = write(tmp_path, captions)
    with pytest.raises(UserError, match=r"1 images are not in the manifest: 'x/none.jpg'"):
        import_texts(path, manifest())
    skipped = import_texts(path, manifest(), unknown_images="skip")
    assert (skipped.texts.num_rows, skipped.matches.num_rows, skipped.num_unknown) == (2, 2, 1)


def test_two_keys_of_one_image(tmp_path):
    captions = {"Black_0.jpg": ["a"], "x/Black_0.jpg": ["c"], "Brewe_0.jpg": ["b"]}
    with pytest.raises(UserError, match=r"'Black_0.jpg', 'x/Black_0.jpg' all mean the image /data"):
        import_texts(write(tmp_path, captions), manifest())


def test_captions_that_leave_out_a_class(tmp_path):
    path = write(tmp_path, {"Black_0.jpg": ["a"]})
    with pytest.raises(UserError, match="1 classes have no text: 'Brewer Blackbird'"):
        import_texts(path, manifest())


def test_a_file_name_that_fits_two_images(tmp_path):
    twins = table(
        [{**row, "uri": f"/data/{row['label']}/x.jpg"} for row in manifest().to_pylist()[::2]],
        MANIFEST,
    )
    path = write(tmp_path, {"1/x.jpg": ["a"], "x.jpg": ["b"]})
    with pytest.raises(UserError, match=r"'x.jpg' fits 2 images"):
        import_texts(path, twins)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": ["x"],\n "b": [}', r"texts.json:2: is not valid JSON"),
        ('["x"]', "must be a JSON object of lists"),
        ('{"a": "x", "b": [1]}', "'a' is not a list of texts"),
        ('{"a": ["x"], "a": ["y"]}', "key 'a' occurs 2 times"),
    ],
)
def test_a_broken_file(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        import_texts(write(tmp_path, content), manifest())


def test_a_missing_file():
    with pytest.raises(UserError, match="no such file"):
        import_texts("/nowhere/texts.json", manifest())


def write_parquet(tmp_path, columns):
    path = str(tmp_path / "texts.parquet")
    pq.write_table(pa.table(columns), path)
    return path


def test_a_table_keeps_the_columns_it_has(tmp_path):
    path = write_parquet(
        tmp_path,
        {
            "class_name": ["brewer-blackbird", "Black footed albatross"],
            "text": ["black", "dark"],
            "axis": ["male", None],
            "text_id": ["one", "two"],
            "set": ["mine", "mine"],
        },
    )
    rows = import_texts(path, manifest()).texts.to_pylist()
    assert [(row["text_id"], row["label"], row["axis"]) for row in rows] == [
        ("one", 1, "male"),
        ("two", 0, ""),
    ]
    assert rows[0]["class_name"] == "Brewer Blackbird"
    # but not that: which set they are of is not theirs to say
    assert {row["set"] for row in rows} == {"class"}


def test_a_table_by_label(tmp_path):
    path = write_parquet(tmp_path, {"label": [1, 0], "text": ["black", "dark"]})
    rows = import_texts(path, manifest()).texts.to_pylist()
    assert [row["class_name"] for row in rows] == ["Brewer Blackbird", "Black footed Albatross"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a"]}, "needs the columns text and class_name"),
        ({"label": [7, 0], "text": ["a", "b"]}, "no class has the labels '7'"),
        ({"label": [1, 0], "text": ["a", None]}, "row 1 has no text"),
        ({"label": [1, 1], "text": ["a", "b"]}, "1 classes have no text"),
        ({"label": [0, 1], "text": ["a", "b"], "text_id": ["x", "x"]}, "more than once: 'x'"),
    ],
)
def test_a_broken_table(tmp_path, columns, message):
    with pytest.raises(UserError, match=message):
        import_texts(write_parquet(tmp_path, columns), manifest())
