from argparse import Namespace

import pytest

from benchmarks import methods
from benchmarks.methods import BARE, in_a_process, measure

SIZES = Namespace(classes=5, shots=3, texts=4, dim=512, test=20)


@pytest.mark.parametrize("name", ["gda", "tip_adapter_val", *BARE])
def test_a_fit_and_its_predictions_are_timed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "BLOCK", 8)
    found = measure(name, SIZES)
    assert found["fit_s"] > 0
    assert found["predict_s"] > 0
    assert 0.3 < found["accuracy"] <= 1


def test_one_that_takes_too_long_is_given_up() -> None:
    assert in_a_process("gda", [], limit_s=0.05) is None
