"""The error that is shown to users, and searches in the causes of an error."""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence


def printable(text: str) -> str:
    """Returns `text` with control and unprintable characters escaped. Names of files and classes
    may hold such characters, which a terminal would obey."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def listed(values: Iterable[object], limit: int = 10) -> str:
    """Returns, for a message, the first `limit` values and the number of the others."""
    values = list(values)
    shown = ", ".join(repr(value) for value in values[:limit])
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit} more"


class UserError(Exception):
    """Input or configuration that its owner has to mend.

    Each problem is one sentence or two: what is wrong, where (file, line, key, value seen), and
    the fix. Jobs print all of them and exit with code 2, without a stack trace.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class LeaseLostError(UserError):
    """Another process has taken over what this process was working on."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields `error` and its causes, including the worker's errors that Ray wraps."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        wrapped = [getattr(one, name, None) for name in ("cause", "controller_failure")]
        wrapped += getattr(one, "worker_failures", {}).values()
        waiting += [w for w in wrapped if isinstance(w, BaseException)]
        waiting += [one.__cause__, one.__context__]


def full_disk(error: BaseException) -> UserError | None:
    """Returns the message to the user if a full disk on any machine caused `error`, else None."""
    for one in causes(error):
        if isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT):
            name = one.filename if isinstance(one.filename, str) else ""
            where = f": {name}" if os.path.isabs(name) else ""
            return UserError(
                f"The disk is full ({one.strerror}{where}). What is stored is whole: make room, "
                "and the same command goes on from there."
            )
    return None
