"""The exit codes of all commands, and the messages printed with them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from gist_ray.errors import LeaseLostError, UserError, full_disk, printable

EXIT_FAILED_ROWS = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turns an exception of the block into an exit code and a message.

    1: too many rows failed, or a crash (with its stack trace); 2: a UserError or a full disk;
    130: Ctrl-C.
    """
    try:
        yield
    except LeaseLostError as error:
        _print_problems(error)
        _exit_at_once(EXIT_USER_ERROR)
    except UserError as error:
        _exit_with_problems(error)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from what is stored.", file=sys.stderr)
        _exit_at_once(EXIT_INTERRUPTED)
    except Exception as error:
        # Imported only now: it brings Arrow, which --help and --version need not wait for.
        from gist_ray.run.flow import TooManyFailedRowsError

        if isinstance(error, TooManyFailedRowsError):
            print(f"\n{printable(str(error))}", file=sys.stderr)
            sys.exit(EXIT_FAILED_ROWS)
        if problem := full_disk(error):
            _exit_with_problems(problem)
        raise


def _exit_at_once(code: int) -> NoReturn:
    """Exits without waiting for the threads of running stages, for which sys.exit waits."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_with_problems(error: UserError) -> NoReturn:
    _print_problems(error)
    sys.exit(EXIT_USER_ERROR)


def _print_problems(error: UserError) -> None:
    number = len(error.problems)
    print(f"\n{number} problem{'s' if number > 1 else ''}:", file=sys.stderr)
    for problem in error.problems:
        print(f"  - {printable(problem)}", file=sys.stderr)
