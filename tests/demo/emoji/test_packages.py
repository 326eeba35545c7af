import io
import tarfile

import pytest

from gist_ray.demo.emoji.packages import PACKAGES, fetch_packages, npm_pack, unpack
from gist_ray.errors import UserError


def archive(path, names):
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    return path


def test_only_what_is_needed_is_unpacked(tmp_path):
    names = ["package/img/64/a.png", "package/img/128/a.png", "package/LICENSE", "package/x.js"]
    unpack(archive(tmp_path / "a.tgz", names), ("img/64/",), tmp_path / "out")
    found = [file.relative_to(tmp_path / "out") for file in (tmp_path / "out").rglob("*.*")]
    assert [str(file) for file in found] == ["img/64/a.png"]
    assert (tmp_path / "out/LICENSE").read_text() == "abc"


def test_nothing_leads_out_of_the_folder(tmp_path):
    broken = archive(tmp_path / "a.tgz", ["package/img/../../../outside.png"])
    with pytest.raises(tarfile.OutsideDestinationError):
        unpack(broken, ("img/",), tmp_path / "out")
    assert not (tmp_path.parent / "outside.png").exists()


def test_a_machine_without_npm_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm is not installed"):
        npm_pack("openmoji@17.0.0", tmp_path)


def test_what_npm_says_is_passed_on(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no such version >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(UserError, match=r"npm pack openmoji@0 failed \(no such version\)"):
        npm_pack("openmoji@0", tmp_path)


def test_what_is_there_is_not_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))  # no npm
    for package in PACKAGES.values():
        (tmp_path / package.spec.lstrip("@").replace("/", "-")).mkdir()
    folders = fetch_packages(tmp_path)
    assert folders["fluent"].name == "lobehub-fluent-emoji-flat@1.1.0"
