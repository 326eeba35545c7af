import pytest

from gist_ray.errors import UserError
from gist_ray.report.sweep.configurations import configurations
from gist_ray.report.sweep.scores import main_measure
from gist_ray.report.sweep.tables import read_sweep
from gist_ray.store import storage

FILES = ("trials.parquet", "epochs.parquet", "test.parquet", "sweep.json")


def test_shots_are_a_param_and_seeds_are_none(fake_sweep, tmp_path):
    fake = fake_sweep(shots=(None,))
    for trial in fake.trials:
        del trial["params"]["study.shots"]
    trial = read_sweep(fake.write(tmp_path)).trials[0]
    assert set(trial.params) == {"matching.k", "finetune.loss", "study.shots"}
    assert (trial.params["study.shots"], trial.seed) == ("full", 1)
    assert trial.seconds_by_group == {"finetune": 12.5, "evaluate": 6.25}


@pytest.mark.parametrize("missing", [FILES[1:], FILES[1:3], FILES[2:3], FILES[:3], FILES[3:]])
def test_what_is_not_there_is_empty(fake_sweep, tmp_path, missing):
    sweep = read_sweep(fake_sweep().write(tmp_path, leave_out=missing))
    assert bool(sweep.trials) is ("trials.parquet" not in missing)
    assert bool(sweep.epochs) is ("epochs.parquet" not in missing)
    assert bool(sweep.test) is ("test.parquet" not in missing)
    assert bool(sweep.info) is ("sweep.json" not in missing)


def test_no_sweep_and_a_broken_file_are_told(fake_sweep, tmp_path):
    with pytest.raises(UserError, match="no sweep here"):
        read_sweep(str(tmp_path))
    folder = fake_sweep().write(tmp_path)
    (tmp_path / "epochs.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(UserError, match=r"epochs\.parquet: cannot be read"):
        read_sweep(folder)


def test_from_any_store(fake_sweep):
    folder = fake_sweep().write("memory://sweeps/tiny")
    assert len(read_sweep(folder).trials) == 48
    storage.delete(folder)


def test_worlds_of_a_sweep_on_test_are_what_is_independent(fake_sweep, tmp_path):
    fake = fake_sweep(measure="test", ks=(1, 10), losses=("infonce",), shots=(5,))
    for trial in fake.trials:
        trial["params"]["data.seed"] = 30 + trial["seed"]
        trial["seed"] = trial["params"]["study.seeds"] = 1
    sweep = read_sweep(fake.write(tmp_path))
    assert (sweep.unit, {trial.unit for trial in sweep.trials}) == ("world", {31, 32, 33})
    assert all("data.seed" not in trial.params for trial in sweep.trials)
    [best, _] = configurations(sweep.trials, main_measure(sweep), 0.95)
    assert (best.params["matching.k"], list(best.by_unit), best.complete) == (
        10,
        [31, 32, 33],
        True,
    )
    assert best.low < best.mean < best.high
    # a sweep that chooses takes them for what they are: settings
    fake.info["measure"] = "val"
    sweep = read_sweep(fake.write(tmp_path))
    assert (sweep.unit, "data.seed" in sweep.trials[0].params) == ("seed", True)


def test_of_several_test_sets_the_first_counts(fake_sweep, tmp_path):
    fake = fake_sweep()
    before = list(fake.test)
    fake.test += [{**row, "split": "test/night", "value": 0.0} for row in before]
    assert [row["value"] for row in read_sweep(fake.write(tmp_path)).test] == [
        row["value"] for row in before
    ]
    fake.test = [{**row, "split": f"test/{name}"} for row in before for name in ("night", "day")]
    assert {row["split"] for row in read_sweep(fake.write(tmp_path)).test} == {"test/day"}


def test_slices_of_the_test_images_are_left_out(fake_sweep, tmp_path):
    fake = fake_sweep(ks=(1, 3), losses=("infonce",), shots=(5,))
    whole = read_sweep(fake.write(tmp_path / "whole")).test
    fake.test += [{**row, "slice": "site=Oslo", "value": 0.0} for row in fake.test]
    assert read_sweep(fake.write(tmp_path / "sliced")).test == whole
