"""`gist-ray sweep`."""

import argparse
from typing import TYPE_CHECKING

from gist_ray.commands.configured import Work, configured

if TYPE_CHECKING:
    from gist_ray.sweep.config import SweepRun

CONFIG_NAME = "sweep"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan", action="store_true", help="check every trial, show the plan, stop"
    )


def sweep_config() -> "type[SweepRun]":
    from gist_ray.sweep.config import SweepRun

    return SweepRun


def run(config: "SweepRun", arguments: argparse.Namespace) -> None:
    from gist_ray.settings.commandline import choices_of_axes, chosen_groups
    from gist_ray.sweep.sweep import run_sweep

    composed = (CONFIG_NAME, arguments.overrides, arguments.config_dir)
    groups = choices_of_axes(config.sweep.space, *composed)
    run_sweep(config, groups, chosen_groups(*composed), plan_only=arguments.plan)


COMMAND = configured(
    "sweep",
    "Run many configurations: the best one by val, or all measured on test",
    Work(CONFIG_NAME, sweep_config, run, add_arguments),
    examples="""
gist-ray sweep sweep=k_shots_seeds --plan             # what there is to make
gist-ray sweep sweep=learning_rate                    # random search with ASHA
gist-ray sweep --config-dir my sweep=mine data=cub data.path=/data/CUB_200_2011 prompts=birds
""",
    about="A killed sweep goes on with the same command. It takes all settings of `gist-ray run`.",
)
