"""The command on a folder of a world's pictures, without a cluster."""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from gist_ray.audit.config import AuditConfig
from gist_ray.audit.job import graph_of
from gist_ray.cli import main
from gist_ray.demo.butterflies.collection import write_collection
from gist_ray.demo.butterflies.config import WorldConfig
from gist_ray.operate.jobs import read_job
from gist_ray.operate.status import read_status
from gist_ray.settings.check import build
from gist_ray.settings.commandline import compose_values
from gist_ray.store.artifacts import ArtifactStore
from gist_ray.study.config import RunConfig
from gist_ray.study.graph import build_graph
from tests.predict.made import without_cluster

WORLD = WorldConfig(
    seed=401,
    num_genera=2,
    species_per_genus=1,
    train_per_species=16,
    val_per_species=2,
    test_per_species=4,
)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two species, with a copy of a training picture in test, a white picture and one that is
    none."""
    write_collection(WORLD, str(tmp_path / "world"))
    folder = tmp_path / "world" / "images"
    first, second = sorted((folder / "train").iterdir())
    one = min(first.iterdir())
    with Image.open(one) as picture:
        picture.convert("RGB").save(folder / "test" / first.name / "copy.jpg", quality=70)
    Image.new("RGB", (64, 64), "white").save(second / "white.png")
    (second / "broken.png").write_bytes(b"no picture")
    return folder


def words(pictures: Path, root: Path) -> list[str]:
    return ["data=image_folder", f"data.path={pictures}", f"root={root}"]


def test_the_command_finds_what_was_planted(
    pictures: Path,
    tmp_path: Path,
    rows_inline: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_cluster(monkeypatch)
    root = tmp_path / "root"
    main(["audit", *words(pictures, root), "audit.exclude=[duplicates,blank]"])
    folder = root / "runs" / "audit"
    assert f"Page: {folder}/audit.html" in capsys.readouterr().out

    copies = pd.read_parquet(folder / "duplicates.parquet")
    assert copies[["kind", "split", "other_split"]].isin(["same", "train", "test"]).all(axis=None)
    assert len(copies) == 1
    labels = pd.read_parquet(folder / "labels.parquet")
    assert labels["rank"].tolist() == list(range(46))  # all but the broken one
    assert {tuple(said["witness"] for said in row) for row in labels["witnesses"]} == {
        ("probe", "best text")
    }
    odd = pd.read_parquet(folder / "pictures.parquet")
    assert [list(row) for row in odd["faults"]] == [["blank"]]
    assert "1 corrupt" in (folder / "audit.html").read_text()
    with open(folder / "exclude.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["reason"], row["split"]) for row in rows] == [
        ("duplicates", "train"),
        ("blank", "train"),
    ]

    # the list is used, and the plan says so
    exclude = f"data.exclude={folder}/exclude.csv"
    main(["audit", *words(pictures, root), "name=again", exclude, "--plan"])
    assert "files left out: 2 named in exclude" in capsys.readouterr().out
    # other commands know the audit
    assert read_status(str(root), "audit").state == "finished"
    assert read_job(str(root), "audit").command == "audit"


def test_a_study_of_the_same_data_has_the_same_embeddings(pictures: Path, tmp_path: Path) -> None:
    given = words(pictures, tmp_path / "root")
    texts = tmp_path / "texts.json"
    names = [path.name for path in (pictures / "train").iterdir()]
    texts.write_text(json.dumps({name: ["white wings"] for name in names}))
    given.append(f"texts.import_from={texts}")

    def config(of: Any, name: str) -> Any:
        return build(of, compose_values(name, [*given, "prompts=generic"]))

    store = ArtifactStore(str(tmp_path / "root"))
    study = build_graph(config(RunConfig, "config"), store).stages
    audit = graph_of(config(AuditConfig, "audit"), store).stages
    prints = [{stage.name: stage.fingerprint for stage in stages} for stages in (study, audit)]
    shared = ("embed images frozen", "embed class texts frozen", "embed names texts frozen")
    assert [prints[0][name] for name in shared] == [prints[1][name] for name in shared]
