"""Deletes what lies in a store for nobody: artifacts that no run refers to, what was begun and
never finished. A run refers to all that its last start planned and its last end used.
"""

import argparse

from rich.filesize import decimal

from gist_ray.errors import printable
from gist_ray.operate.clean import Garbage, find_garbage, remove
from gist_ray.run.runs import check_root, run_folder
from gist_ray.settings.commandline import exit_codes
from gist_ray.store import storage


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", help="the root of the runs: a folder or s3://bucket/prefix")
    parser.add_argument("--dry-run", action="store_true", help="show what would go, and stop")
    parser.add_argument(
        "--run", metavar="NAME", help="also this run's folder, and the artifacts that only it used"
    )
    arguments = parser.parse_args()
    with exit_codes():
        check_root(arguments.root)
        garbage = find_garbage(arguments.root, forget=arguments.run)
        _print(arguments.root, garbage)
        if arguments.dry_run:
            print("Nothing was deleted.")
            return
        remove(arguments.root, garbage)
        if arguments.run is not None:
            storage.delete(run_folder(arguments.root, arguments.run))
        print(f"Deleted {decimal(sum(one.num_bytes for one in garbage))}.")


def _print(root: str, garbage: list[Garbage]) -> None:
    if not garbage:
        print("There is nothing that no run refers to.")
    top = storage.absolute(root) + "/"
    for one in garbage:
        print(f"{decimal(one.num_bytes):>10}  {printable(one.uri.removeprefix(top))}  ({one.why})")


if __name__ == "__main__":
    main()
