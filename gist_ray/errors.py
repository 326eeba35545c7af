"""The one exception that is meant for people to read."""

from collections.abc import Sequence


class UserError(Exception):
    """Input or configuration that its owner has to mend.

    Each problem is one sentence or two: what is wrong, where (file, line, key, value seen), and
    the fix. Jobs print all of them and exit with code 2, without a stack trace.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))
