"""The emoji set: real pictures by several vendors with their official names (docs/emoji.md).

python tools/emoji.py build data/emoji      fetches four npm packages and writes the set
python tools/emoji.py names --run emoji     after a run: does a picture find its own name?
"""

import argparse
from pathlib import Path

import pydantic
from rich.console import Console
from rich.table import Table

from gist_ray.commands.exits import exit_codes
from gist_ray.demo.emoji.config import EmojiConfig
from gist_ray.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    defaults = EmojiConfig()
    make = commands.add_parser("build", help="fetch the packages and write the set")
    make.add_argument("out", type=Path, help="folder of the set; made anew")
    make.add_argument(
        "--packages", type=Path, default=Path("data/packages"), help="where packages are kept"
    )
    for role in ("pretrain", "train"):
        make.add_argument(
            f"--{role}",
            type=lambda text: text.split(","),
            default=getattr(defaults, role),
            metavar="VENDOR,...",
            help=f"vendors to {role} on (default: {','.join(getattr(defaults, role))})",
        )
    make.add_argument("--test", default=defaults.test, metavar="VENDOR", help="(%(default)s)")
    names = commands.add_parser("names", help="how often a picture finds its own name")
    names.add_argument("--root", default="results")
    names.add_argument("--run", default="emoji")
    arguments = parser.parse_args()
    with exit_codes():
        if arguments.command == "build":
            build(arguments)
        else:
            own_names(arguments)


def build(arguments: argparse.Namespace) -> None:
    from gist_ray.demo.emoji.build import build_emoji_set
    from gist_ray.demo.emoji.packages import fetch_packages

    try:
        config = EmojiConfig(
            pretrain=arguments.pretrain, train=arguments.train, test=arguments.test
        )
    except pydantic.ValidationError as error:
        raise UserError([found["msg"] for found in error.errors()]) from error
    packages = fetch_packages(arguments.packages)
    counts = build_emoji_set(packages, config, arguments.out)
    for what, count in counts.items():
        print(f"{what.replace('_', ' ')}: {count}")
    print(f"Written to {arguments.out}; whose pictures these are: {arguments.out}/LICENCES.md")


def own_names(arguments: argparse.Namespace) -> None:
    from gist_ray.demo.emoji.own_names import own_name_accuracy

    table = Table(title="A picture's best text of its class is its own name", title_justify="left")
    for column in ("split", "vendors", "pretraining saw"):
        table.add_column(column)
    for column in ("right", "95 %", "by chance", "pictures"):
        table.add_column(column, justify="right")
    for row in own_name_accuracy(arguments.root, arguments.run):
        interval = f"[{row['low']:.1%}, {row['high']:.1%}]"
        table.add_row(
            row["split"],
            row["vendors"],
            row["pretraining_saw"],
            f"{row['right']:.1%}",
            interval,
            f"{row['by_chance']:.1%}",
            str(row["pictures"]),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
