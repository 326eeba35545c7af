"""`gist-ray clean`."""

import argparse

from gist_ray.commands.command import Command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", help="the root of the runs: a folder or s3://bucket/prefix")
    parser.add_argument("--dry-run", action="store_true", help="show what would go, and stop")
    parser.add_argument(
        "--run", metavar="NAME", help="also this run's folder, and the artifacts that only it used"
    )


def run(arguments: argparse.Namespace) -> None:
    from rich.filesize import decimal

    from gist_ray.errors import printable
    from gist_ray.operate.clean import find_garbage, remove
    from gist_ray.run.runs import check_root, run_folder
    from gist_ray.store import storage

    check_root(arguments.root)
    garbage = find_garbage(arguments.root, forget=arguments.run)
    if not garbage:
        print("There is nothing that no run refers to.")
    top = storage.absolute(arguments.root) + "/"
    for one in garbage:
        print(f"{decimal(one.num_bytes):>10}  {printable(one.uri.removeprefix(top))}  ({one.why})")
    if arguments.dry_run:
        print("Nothing was deleted.")
        return
    remove(arguments.root, garbage)
    if arguments.run is not None:
        storage.delete(run_folder(arguments.root, arguments.run))
    print(f"Deleted {decimal(sum(one.num_bytes for one in garbage))}.")


COMMAND = Command(
    name="clean",
    summary="Delete artifacts that no run refers to, and what was begun and never finished",
    examples="""
gist-ray clean results --dry-run
gist-ray clean s3://bucket/gist --run leaves          # also this run, and what only it used
""",
    run=run,
    add_arguments=add_arguments,
    about="A run refers to all that its last start planned and its last end used.",
)
