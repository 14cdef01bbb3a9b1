from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparsebench import isa, registry, tuning
from sparsebench.bench.verify import check, reference
from sparsebench.layouts import empty
from sparsebench.operands import make_operands
from sparsebench.problem import Problem
from sparsebench.tiling import Caches, Choice, Setting

PROBLEM = Problem.parse("matmul:64x96x12:complementary/16+0.75:f32")
SETTING = Setting(64, 96, 12, 16, "row", 16, 1, Caches(32 << 10, 1 << 20))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(tmp_path))
    monkeypatch.delenv(tuning.VARIABLE, raising=False)
    tuning._file.cache_clear()


def run(threads: int = 1) -> str:
    operands = make_operands(PROBLEM)
    plan = registry.kernels()["complementary"].prepare(PROBLEM, operands.weights, threads)
    out = empty(PROBLEM.M, PROBLEM.N, plan.layout)
    plan.run(operands.x, out)
    assert check(out, reference(operands)).status == "ok"
    return plan.detail


def test_nothing_is_tuned_unless_asked() -> None:
    run()
    assert tuning.remembered() == {}


def test_a_winner_is_remembered_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tuning.VARIABLE, "1")
    run()
    (name,) = tuning.remembered()
    assert name.startswith(f"{isa.active()}, 1 threads, 16 lanes, 64x96x12, ")
    # Another winner put into the file is what the next plan uses, without being timed.
    forced = Choice("columns", 1, 96, False, 1)
    tuning.write_whole(tuning._file(), tuning.json.dumps({name: asdict(forced)}))
    assert "8x1 vectors" in run()
    assert tuning.remembered() == {name: asdict(forced)}


def test_clearing_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(tuning.VARIABLE, "1")
    run()
    assert tuning.clear() == 1
    assert tuning.remembered() == {}
    assert tuning.clear() == 0


def test_the_search_keeps_the_fastest_of_each_variable() -> None:
    """The plans are stand-ins whose time says how far they are from a hidden best choice."""
    hidden = Choice("columns", 2, 96, False, 1)
    built: list[Choice] = []

    def distance(choice: Choice) -> int:
        return sum(a != b for a, b in zip(asdict(choice).values(), asdict(hidden).values(), strict=True))

    def build(choice: Choice) -> Choice:
        built.append(choice)
        return choice

    def fastest(plans: list[Any]) -> int:
        return int(np.argmin([distance(plan) for plan in plans]))

    found = tuning.best_choice(SETTING, Choice("rows", 0, 96, True, 1), "name", build, fastest)  # type: ignore[arg-type]
    assert found.axis == "columns"
    assert found.vectors == 2
    assert len(built) <= 12


@pytest.mark.parametrize("text", ['{"name": {"axis"', "[1, 2]", ""])
def test_a_torn_cache_is_as_good_as_none(text: str) -> None:
    tuning._file().write_text(text)
    assert tuning.remembered() == {}
    assert tuning.clear() == 0
    assert not tuning._file().exists()
