import sys
from pathlib import Path

import pytest

from benchmarks import matching
from benchmarks.matching import ORDERS, main, measure


def test_both_orders_have_a_ratio_and_the_memory() -> None:
    found = measure(num_images=400, num_classes=4, texts_each=5, dim=16, k=2, rounds=2)
    for order in ORDERS:
        assert found[order]["ratio"]["min"] <= found[order]["ratio"]["median"]
        assert found[order]["bare_s"]["min"] > 0
        assert found[order]["memory_gib"] >= 0


def test_memory_beyond_the_inputs_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def wasteful(images: object, *arrays: object) -> None:
        b"x" * (300 * 2**20)

    monkeypatch.setattr(matching, "match_topk", wasteful)
    found = measure(num_images=400, num_classes=4, texts_each=5, dim=16, k=2, rounds=1)
    assert found[ORDERS[0]]["memory_gib"] > 0.25


def test_a_line_of_json_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = f"{tmp_path}/out.jsonl"
    sizes = ["--images=100", "--classes=2", "--texts=4", "--dim=8", "--rounds=1"]
    monkeypatch.setattr(sys, "argv", ["matching", *sizes, f"--out={out}"])
    main()
    with open(out, encoding="utf-8") as file:
        assert '"benchmark": "matching"' in file.read()
