"""Many configurations of a run: the best one by val, or all measured on test (docs/sweeps.md).

python jobs/sweep.py sweep=learning_rate
"""

import argparse

from gist_ray.settings.commandline import choices_of_axes, chosen_groups, main
from gist_ray.sweep.config import SweepRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan", action="store_true", help="check every trial, show the plan, stop"
    )


def run(config: SweepRun, arguments: argparse.Namespace) -> None:
    from gist_ray.sweep.sweep import run_sweep  # torch and Ray only once the config is right

    composed = ("sweep", arguments.overrides, arguments.config_dir)
    groups = choices_of_axes(config.sweep.space, *composed)
    run_sweep(config, groups, chosen_groups(*composed), plan_only=arguments.plan)


if __name__ == "__main__":
    main(__doc__ or "", "sweep", SweepRun, run, add_arguments)
