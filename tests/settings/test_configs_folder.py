from pathlib import Path

from gist_ray.settings.configs import CONFIGS, configs_folder


def test_configs_are_inside_an_installed_package(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "gist_ray"
    (package / "configs").mkdir(parents=True)
    assert configs_folder(package) == package / "configs"


def test_configs_are_beside_the_package_of_a_checkout(tmp_path: Path) -> None:
    assert configs_folder(tmp_path / "gist_ray") == tmp_path / "configs"
    assert (CONFIGS / "config.yaml").is_file()
