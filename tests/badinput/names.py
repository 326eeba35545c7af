"""Names of files and classes that are hard to show, to write down or to tell apart."""

from dataclasses import dataclass

from tests.badinput.kinds import Kind

SCRIPT = "<script>alert(1)<"
"""Without a slash, which no file name can hold."""


@dataclass(frozen=True, kw_only=True)
class FileName(Kind):
    """A good picture under a bad name; `kind` of its error row, "" if it is embedded."""

    file_name: bytes
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassName(Kind):
    """A folder of good pictures whose name runs through prompts, tables and the report."""

    folder: str


def _named(name: str, happens: str, file_name: str) -> FileName:
    return FileName(name=f"file name: {name}", happens=happens, file_name=file_name.encode())


FILE_NAMES: list[FileName] = [
    _named("newline and tab", "embedded; escaped on the terminal", "two\nlines\tand a tab.png"),
    _named("ANSI escapes", "embedded; escaped on the terminal", "\x1b[2J\x1b]0;owned\x07red.png"),
    _named("right to left", "embedded", "\u202egnp.فراشة\u202c.png"),
    _named("composed letters", "embedded, another picture than the next", "caf\u00e9.png"),
    _named("combining letters", "embedded, another picture than the one before", "cafe\u0301.png"),
    _named("upper case", "embedded, another picture than the next", "CASE.png"),
    _named("lower case", "embedded, another picture than the one before", "case.png"),
    _named("255 bytes", "embedded", "x" * 251 + ".png"),
    _named("formula", "embedded; we write no CSV", "=cmd|' _C calc'!A0.png"),
    _named(
        "HTML", "embedded; escaped in the report", f'"><img src=x onerror=alert(1)>{SCRIPT}.png'
    ),
    FileName(
        name="file name: not UTF-8",
        happens="error row `bad_name`",
        file_name=b"\xff\xfe.png",
        kind="bad_name",
    ),
]

CLASS_NAMES: list[ClassName] = [
    ClassName(
        name="class name: HTML and a formula",
        happens="kept; escaped in the report; we write no CSV",
        folder=f"=1+1 {SCRIPT}img src=x onerror=alert(2)>",
    ),
    ClassName(
        name="class name: right to left",
        happens="kept",
        folder="فراشة زرقاء",
    ),
    ClassName(
        name="class name: newline and tab",
        happens="kept, on one line in prompts, captions and report",
        folder="blue\n\tmorpho",
    ),
    ClassName(
        name="class name: of one picture",
        happens="the picture stays in train; every number of shots takes it",
        folder="rare",
    ),
]
