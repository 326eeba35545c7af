"""Tables and folders that contradict themselves, and single rows of them that do."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.badinput.kinds import Kind

HEADER = "image,class_name,split\n"
GOOD_ROWS = "".join(
    f"{name}/{number}.png,{name},{split}\n"
    for name in ("ant", "bee")
    for number, split in enumerate(("train", "train", "val", "test"))
)
GOOD = HEADER + GOOD_ROWS


@dataclass(frozen=True, kw_only=True)
class DataSet(Kind):
    """Files of a data set below a folder; `path` of them is what data.path names."""

    files: dict[str, bytes]
    path: str = "table.csv"
    words: tuple[str, ...] = ()
    """Further settings."""
    says: str = ""
    """A regular expression of the sentence with which the plan refuses it, exit code 2."""
    errors: tuple[tuple[str, str], ...] = ()
    """(id, kind) of the error rows where the plan accepts it."""
    num_images: int = 8
    """Images of the manifest where the plan accepts it."""


def _csv(name: str, happens: str, text: str | bytes, says: str = "", **options: object) -> DataSet:
    data = text.encode() if isinstance(text, str) else text
    return DataSet(
        name=f"table: {name}", happens=happens, files={"table.csv": data}, says=says, **options
    )  # type: ignore[arg-type]


def _parquet(rows: dict[str, list[object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(rows), sink)
    return sink.getvalue()


def _columns() -> dict[str, list[object]]:
    rows = [line.split(",") for line in GOOD_ROWS.splitlines()]
    names = HEADER.strip().split(",")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _jsonl(change: Callable[[list[str]], None]) -> bytes:
    columns = _columns()
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    lines = [json.dumps(row) for row in rows]
    change(lines)
    return "\n".join(lines).encode()


def _deep_png(highest: int) -> bytes:
    sink = io.BytesIO()
    values = np.linspace(0, highest, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(values).save(sink, "PNG")
    return sink.getvalue()


REFUSED = "refused at plan, exit code 2"

KINDS: list[DataSet] = [
    _csv("byte order mark", "read", b"\xef\xbb\xbf" + GOOD.encode()),
    _csv(
        "semicolons",
        f"{REFUSED}: names the columns it has",
        GOOD.replace(",", ";"),
        r"table\.csv: there is no column 'image'. It has the columns 'image;class_name;split'",
    ),
    _csv(
        "wrong number of fields",
        f"{REFUSED}: names the line",
        GOOD + "ant/9.png,ant\n",
        r"table\.csv, line 10: has 2 fields where the header has 3",
    ),
    _csv(
        "unclosed quote",
        f"{REFUSED}: names the line",
        GOOD + '"ant/9.png,ant,train\n',
        r"table\.csv, line 1\d: is not valid CSV",
    ),
    _csv(
        "latin-1",
        f"{REFUSED}: names the line",
        GOOD.encode() + "Möwe/1.png,Möwe,train\n".encode("latin-1"),
        r"table\.csv, line 10: is not UTF-8",
    ),
    _csv("empty file", REFUSED, "", r"table\.csv: has no rows"),
    _csv("header only", REFUSED, HEADER, r"table\.csv: has no rows"),
    _csv(
        "a column missing",
        f"{REFUSED}: names the columns it has",
        "\n".join(line.rpartition(",")[0].rpartition(",")[0] for line in GOOD.splitlines()),
        r"no column 'class_name' and no column 'label'",
    ),
    _csv(
        "a column twice",
        REFUSED,
        "image,image,class_name,split\n"
        + GOOD_ROWS.replace("ant/", "x,ant/").replace("bee/", "x,bee/"),
        r"line 1: the column 'image' is there more than once",
    ),
    _csv(
        "a path twice",
        f"{REFUSED}: names both rows",
        GOOD + "./ant/0.png,ant,train\n",
        r"\(ant/0\.png\) is there twice: .*row 1'.*row 9'",
    ),
    _csv(
        "an id twice",
        f"{REFUSED}: names both rows",
        GOOD.replace("image,", "key,image,").replace("ant/", "7,ant/").replace("bee/", "8,bee/"),
        r"The image 7 \(ant/0\.png\) is there twice",
        words=("data.id_column=key",),
    ),
    _csv(
        "a label of two names",
        REFUSED,
        "image,label,class_name,split\n" + GOOD_ROWS.replace(".png,", ".png,0,"),
        r"the label '0' has several names: 'ant' \(row 1\), 'bee' \(row 5\)",
    ),
    _csv(
        "labels that are no numbers",
        "a label is any text: read",
        "image,label,split\n" + GOOD_ROWS.replace(",bee", ",-1").replace(",ant", "," + "9" * 5000),
    ),
    _csv(
        "empty cells",
        "error rows `missing` that name row and column",
        GOOD + ",ant,train\nant/9.png,,train\n",
        errors=(("row 9", "missing"), ("row 10", "missing")),
    ),
    _csv(
        "an unknown split",
        "error row `bad_split`",
        GOOD + "ant/9.png,ant,trian\n",
        errors=(("row 9", "bad_split"),),
    ),
    _csv(
        "a class with pictures in test only",
        f"{REFUSED}: names the class",
        GOOD + "wasp/1.png,wasp,test\n",
        r"the classes 'wasp' have images in val or test but none in train",
    ),
    _csv(
        "one class only",
        REFUSED,
        "\n".join(line for line in GOOD.splitlines() if "bee" not in line),
        r"has 'ant' as its only class; a classifier needs at least two",
    ),
    _csv(
        "classes that differ in case alone",
        REFUSED,
        GOOD + "x.png,Ant,train\n",
        r"the classes 'Ant' \(.*row 9\), 'ant' \(.*row 1\) look alike. Rename one, or make",
    ),
    _csv(
        "classes that differ in composed letters alone",
        f"{REFUSED}: shows their codes",
        GOOD + "x.png,caf\u00e9,train\ny.png,cafe\u0301,train\n",
        r"the classes 'cafe\\u0301' \(.*row 10\), 'caf\\xe9' \(.*row 9\) look alike",
    ),
    _csv(
        "classes that differ in the kind of an apostrophe or a dash",
        f"{REFUSED}: shows their codes",
        GOOD + "x.png,Anna's bee,train\ny.png,Anna\u2019s bee,train\n",
        r"the classes \"Anna's bee\" \(.*row 9\), 'Anna\\u2019s bee' \(.*row 10\) look alike",
    ),
    _csv(
        "labels 7 and 007",
        REFUSED,
        GOOD + "x.png,7,train\ny.png,007,train\n",
        r"the classes '007' \(.*row 10\), '7' \(.*row 9\) look alike",
    ),
    _csv(
        "a split column with a capital and a space",
        "read",
        GOOD.replace(",split", ", Split"),
    ),
    _csv(
        "splits in a column of another name",
        f"{REFUSED}: names the setting",
        GOOD.replace(",split", ",subset"),
        r"the column 'subset' \('train' \d, .* looks like the data set's splits. Set split_column=",
    ),
    _csv(
        "no test set, by `data.test_fraction=0`",
        "trained on and chosen on val; plan and report say that nothing is measured on test",
        "\n".join(line.rpartition(",")[0] for line in GOOD.splitlines()),
        words=("data.test_fraction=0",),
    ),
    _csv(
        "splits that cut a group",
        f"{REFUSED}: names the groups and both ways to go on",
        "".join(
            f"{line},{'patient' if place == 0 else 'p7' if place in (1, 4, 8) else place}\n"
            for place, line in enumerate(GOOD.splitlines())
        ),
        r"cut 1 of the 6 groups of group_column=patient, with 3 images: 'p7' \(1 train, 2 test\)\. "
        r".*split_column=, or leave group_column out",
        words=("data.group_column=patient",),
    ),
    _csv(
        "splits that cut a group, drawn anew",
        "with `data.split_column=` splits are drawn that keep groups together: read",
        "".join(
            f"{line},{'patient' if place == 0 else 'p7' if place in (1, 4) else place}\n"
            for place, line in enumerate(GOOD.splitlines())
        ),
        words=("data.group_column=patient", "data.split_column="),
    ),
    _csv(
        "control characters in a class name",
        f"{REFUSED}: escaped on the terminal",
        GOOD + "x.png,\x1b[2Jwasp,train\n",
        r"the class '\\x1b\[2Jwasp' has control characters in its name",
    ),
    DataSet(
        name="table: NaN as a label",
        happens="error row `missing`",
        files={
            "table.jsonl": _jsonl(
                lambda lines: lines.append(
                    '{"image": "x.png", "split": "train", "class_name": NaN}'
                )
            )
        },
        path="table.jsonl",
        errors=(("row 9", "missing"),),
    ),
    DataSet(
        name="table: JSONL with a broken line",
        happens=f"{REFUSED}: names the line",
        files={"table.jsonl": _jsonl(lambda lines: lines.insert(2, '{"image": "x'))},
        path="table.jsonl",
        says=r"table\.jsonl, line 3: is not valid JSON",
    ),
    DataSet(
        name="table: JSONL of a million brackets",
        happens=f"{REFUSED}: names the line",
        files={"table.jsonl": _jsonl(lambda lines: lines.insert(2, "[" * 10**6))},
        path="table.jsonl",
        says=r"table\.jsonl, line 3: cannot be read as JSON",
    ),
    DataSet(
        name="table: half a character in a name",
        happens=f"{REFUSED}: names the row",
        files={
            "table.jsonl": _jsonl(lambda lines: lines.insert(0, lines[0].replace("ant", "\\ud800")))
        },
        path="table.jsonl",
        says=r"table\.jsonl, row 1: .*is not Unicode text",
    ),
    DataSet(
        name="table: Parquet cut short",
        happens=REFUSED,
        files={"table.parquet": _parquet(_columns())[:-100]},
        path="table.parquet",
        says=r"table\.parquet: cannot be read as Parquet",
    ),
    DataSet(
        name="table: mixed types",
        happens="cells count as text: read",
        files={
            "table.jsonl": _jsonl(
                lambda lines: lines.extend(
                    f'{{"image": {image}, "class_name": {name}, "split": "train"}}'
                    for image, name in ((7, '"ant"'), ("8.5", "3.0"), ("true", '"bee"'))
                )
            )
        },
        path="table.jsonl",
        num_images=11,
    ),
    DataSet(
        name="table: of another kind",
        happens=REFUSED,
        files={"table.xlsx": b"PK\3\4"},
        path="table.xlsx",
        says=r"a manifest is a file that ends in \.csv, \.parquet or \.jsonl",
    ),
    DataSet(
        name="folder: empty",
        happens=REFUSED,
        files={"data/notes.txt": b""},
        path="data",
        says=r"data: has no usable image",
    ),
    DataSet(
        name="folder: a class folder without pictures",
        happens="no class: the plan says how many classes there are",
        files={f"data/{name}/{n}.png": b"" for name in ("ant", "bee") for n in range(4)}
        | {"data/wasp/notes.txt": b""},
        path="data",
    ),
    DataSet(
        name="folder: splits and classes side by side",
        happens=REFUSED,
        files={f"data/{name}/a/1.png": b"" for name in ("train", "test", "ant")},
        path="data",
        says=r"has split folders \('test', 'train'\) and other folders \('ant'\) side by side",
    ),
    DataSet(
        name="folder: split folders called Training and dev",
        happens="known in any case: read",
        files={
            f"data/{top}/{name}/{n}.png": b""
            for top in ("Training", "dev")
            for name in ("ant", "bee")
            for n in range(2)
        },
        path="data",
    ),
    DataSet(
        name="folder: top folders with the same folders in them",
        happens=f"{REFUSED}: both readings, and the setting for each",
        files={
            f"data/{top}/{name}/1.png": b"" for top in ("one", "two") for name in ("ant", "bee")
        },
        path="data",
        says=r"Either 'ant', 'bee' are the classes .*split_names=\{one: train, two: test\}.* Or '",
    ),
    DataSet(
        name="folder: a class whose pictures have an ending that is not read",
        happens=f"{REFUSED}: counts them by ending",
        files={f"data/{name}/{n}.png": b"" for name in ("ant", "bee") for n in range(4)}
        | {f"data/wasp/{n}.heic": b"" for n in range(3)},
        path="data",
        says=r"data/wasp: has no picture that can be read, but 3 files that end in \.heic",
    ),
    DataSet(
        name="folder: one folder too high",
        happens=f"{REFUSED}: names what lies below",
        files={f"data/images/{name}/1.png": b"" for name in ("ant", "bee")},
        path="data",
        says=r"has one class, 'images', and below it lie the folders 'ant', 'bee'",
    ),
    DataSet(
        name="folder: a picture outside a class",
        happens="error row `bad_layout`",
        files={f"data/{name}/{n}.png": b"" for name in ("ant", "bee") for n in range(4)}
        | {"data/stray.png": b""},
        path="data",
        errors=(("stray.png", "bad_layout"),),
    ),
    DataSet(
        name="folder: the folder of one class",
        happens=f"{REFUSED}: names the folder above and what lies in it",
        files={f"data/{n}.png": b"" for n in range(4)} | {"other/1.png": b""},
        path="data",
        says=r"4 pictures lie directly in it, and none in a class folder\. If 'data' is a class, "
        r"the path is \S+, which holds 'data', 'other'",
    ),
    _csv(
        "no picture is where it says",
        f"{REFUSED}: names the first, and what paths are relative to",
        GOOD,
        r"none of 8 pictures looked at is there; the first is \S+ant/0\.png\. Correct the paths",
    ),
    DataSet(
        name="table: backslashes in the paths",
        happens=f"{REFUSED}: names where the picture is, and what to write",
        files={
            "table.csv": GOOD.replace("/", "\\").encode(),
            **{f"{name}/{n}.png": b"any" for name in ("ant", "bee") for n in range(4)},
        },
        says=r"ant/0\.png is there\. In the paths, write / for \\\.",
    ),
    DataSet(
        name="table: a picture in train and in test",
        happens="told in plan and report; `data.duplicates=error` refuses it at plan, exit code 2; "
        "`drop` leaves out the one in train",
        files={
            "table.csv": GOOD.encode(),
            "ant/0.png": b"one picture",
            "ant/3.png": b"one picture",
        },
        words=("data.duplicates=error",),
        says=r"1 of 8 pictures are copies, byte for byte, of others, in train and in test: 1",
    ),
    DataSet(
        name="folder: 12 bits in 16-bit pictures",
        happens=f"{REFUSED}: names the highest value and `embed.white_level`",
        files={
            f"data/{split}/{name}/{n}.png": _deep_png(4000 + n)
            for split in ("train", "test")
            for name in ("ant", "bee")
            for n in range(2)
        },
        path="data",
        says=r"end at 4,001 in the 8 looked at.*embed\.white_level=4095",
    ),
]
