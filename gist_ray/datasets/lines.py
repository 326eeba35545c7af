"""Reading the text files of data sets.

Each function adds its problems, with file and line, to a list, so that a reader can report all of
them together.
"""

import csv
import io
import json
import re
from typing import Any

import pyarrow as pa

from gist_ray.store import storage

UNNAMED_COLUMN = re.compile(r"|Unnamed: \d+(\.\d+)*|__index_level_\d+__")
MAX_LINES_REPORTED = 20
ROWS_PER_CHUNK = 50_000


def read_text(uri: str, problems: list[str]) -> str | None:
    """Returns the text of a file, or None with an entry in `problems`."""
    try:
        return storage.read_text(uri)
    except FileNotFoundError:
        problems.append(f"{uri}: this file of the data set is not there.")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(f"{uri}, line {line}: is not UTF-8 ({error.reason}). Save it as UTF-8.")
    except OSError as error:
        problems.append(f"{uri}: cannot be read ({error}). Check its permissions.")
    return None


def read_json(uri: str, problems: list[str]) -> Any:
    """Returns the value in a JSON file, or None with an entry in `problems`."""
    text = read_text(uri, problems)
    if text is None:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        problems.append(f"{uri}, line {error.lineno}: is not valid JSON ({error.msg}).")
    except (ValueError, RecursionError) as error:  # too many digits, too deeply nested brackets
        problems.append(f"{uri}: cannot be read as JSON ({error}).")
    return None


def read_lines(uri: str, problems: list[str]) -> list[tuple[int, str]]:
    """Returns (line number, line) of the lines that are not blank."""
    # str.splitlines would also split at characters that occur inside names
    lines = (read_text(uri, problems) or "").split("\n")
    return [(n, line.rstrip("\r")) for n, line in enumerate(lines, 1) if line.strip()]


def read_keyed_lines(uri: str, problems: list[str]) -> dict[str, tuple[int, str]]:
    """Returns {key: (line number, value)} of lines `<key> <value>`; the value may have spaces."""
    found: dict[str, tuple[int, str]] = {}
    broken: list[str] = []
    for number, line in read_lines(uri, problems):
        key, _, value = line.partition(" ")
        if not key or not value.strip():
            broken.append(f"{uri}, line {number}: {line!r} is not '<id> <value>'.")
        elif key in found:
            broken.append(
                f"{uri}, line {number}: id {key} was already given in line {found[key][0]}."
            )
        else:
            found[key] = (number, value)
    report_broken(uri, broken, problems)
    return found


def read_csv(uri: str, problems: list[str]) -> pa.Table:
    """Returns a CSV file with a header as a table of strings.

    Columns without a name, which pandas writes for its index, are dropped.
    """
    text = read_text(uri, problems)
    reader = csv.reader(io.StringIO(text or "", newline=""), strict=True)
    broken: list[str] = []
    header: list[str] = []
    chunks: list[pa.Table] = []
    try:
        header = next(reader, [])
        named = [i for i, name in enumerate(header) if not UNNAMED_COLUMN.fullmatch(name)]
        rows: list[list[str]] = []
        for fields in reader:
            if len(fields) == len(header):
                rows.append(fields)
            elif fields:
                broken.append(
                    f"{uri}, line {reader.line_num}: has {len(fields)} fields where the header "
                    f"has {len(header)}. Put quotes around values with commas."
                )
            if len(rows) == ROWS_PER_CHUNK:
                chunks.append(_columns(header, named, rows))
                rows = []
        chunks.append(_columns(header, named, rows))
    except csv.Error as error:
        broken.append(f"{uri}, line {reader.line_num}: is not valid CSV ({error}).")
    for name in sorted({header[i] for i in named if header.count(header[i]) > 1} if header else ()):
        broken.append(f"{uri}, line 1: the column {name!r} is there more than once.")
    report_broken(uri, broken, problems)
    return pa.concat_tables(chunks) if chunks else pa.table({})


def _columns(header: list[str], named: list[int], rows: list[list[str]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    return pa.table(
        [pa.array(columns[i], pa.string()) for i in named], names=[header[i] for i in named]
    )


def report_broken(uri: str, broken: list[str], problems: list[str]) -> None:
    """Adds the problems of a file's lines to `problems`, at most MAX_LINES_REPORTED of them and the
    number of the others."""
    problems.extend(broken[:MAX_LINES_REPORTED])
    if len(broken) > MAX_LINES_REPORTED:
        problems.append(f"{uri}: {len(broken) - MAX_LINES_REPORTED} more lines are broken.")
