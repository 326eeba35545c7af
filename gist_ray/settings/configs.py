"""Where the configs that the project ships are found."""

from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def configs_folder(package: Path = PACKAGE) -> Path:
    """Returns the folder of groups and experiments: in an installed package, or beside it."""
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


CONFIGS = configs_folder()
