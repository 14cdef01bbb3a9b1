"""Histories: runs whose levels are known."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from stored import KERNELS, PROBLEMS, make_run
from test_store import invoke

from sparsebench.errors import UnavailableError
from sparsebench.report.change_points import FEWEST, change_points
from sparsebench.report.history import sparkline
from sparsebench.run_folder import RunFolder
from sparsebench.store import Store

needs_ruptures = pytest.mark.skipif(importlib.util.find_spec("ruptures") is None, reason="needs ruptures")


def keep(tmp_path: Path, slower: Sequence[float]) -> Path:
    """A store of runs, a day each, in which csr takes so many times as long as in the first."""
    with Store.open(tmp_path / "store", create=True) as store:
        for day, factor in enumerate(slower, start=1):
            started = f"2026-10-{day:02}T12:00:00+00:00"
            run = make_run(tmp_path / f"{day}", day, factors={"csr": factor}, started=started, git_commit=f"{day:040}")
            store.add(run)
    return tmp_path / "store"


def rows(said: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(said)))


@needs_ruptures
def test_a_change_of_level_is_found_where_it_is() -> None:
    rng = np.random.default_rng(1)
    steps = np.where(np.arange(30) < 18, 1.0, 1.25)
    found = 0
    for _ in range(50):
        found += change_points(list(steps * rng.lognormal(0, 0.03, 30))) == [18]
    assert found >= 45
    again = [1.0] * 10 + [1.3] * 10 + [1.0] * 10
    assert change_points([value * float(rng.lognormal(0, 0.02)) for value in again]) == [10, 20]


@needs_ruptures
def test_where_nothing_changed_little_is_found() -> None:
    rng = np.random.default_rng(2)
    assert sum(bool(change_points(list(rng.lognormal(0, 0.03, 20)))) for _ in range(100)) <= 5
    assert change_points([2.0] * 20) == []
    assert change_points([1.0, 2.0] * (FEWEST // 2 - 1)) == []
    # A thousandth is no change, however steady the rest.
    assert change_points([1.0] * 10 + [1.001] * 10) == []


def test_change_points_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruptures", None)
    with pytest.raises(UnavailableError, match="change points: unavailable, pip install 'sparsebench\\[history\\]'"):
        change_points([1.0] * 10)
    code, said = invoke(keep(tmp_path, [1.0, 1.0]), "history", "csr")
    assert code == 0
    assert "change points: unavailable, pip install 'sparsebench[history]'" in said


def test_sparkline() -> None:
    assert sparkline([1.0, 2.0, 8.0]) == "▁▂█"
    assert sparkline([1.0, 2.0, 8.0], plain=True) == "128"
    assert sparkline([3.0, 3.0]) == "▁▁"


@needs_ruptures
def test_history_of_a_kernel(tmp_path: Path) -> None:
    store = keep(tmp_path, [1.0] * 6 + [1.25] * 6)
    code, said = invoke(store, "history", "csr", "--format", "csv")
    assert code == 0
    found = rows(said)
    assert [row["started"][:10] for row in found] == [f"2026-10-{day:02}" for day in range(1, 13)]
    assert [row["begins"] for row in found].index("True") == 6
    assert sum(row["begins"] == "True" for row in found) == 1
    assert float(found[6]["change"]) == pytest.approx(1 / 1.25 - 1, abs=0.03)
    assert found[0]["change"] == ""
    assert all(float(row["low"]) < float(row["value"]) < float(row["high"]) for row in found)
    assert {row["cases"] for row in found} == {str(len(PROBLEMS))}
    code, said = invoke(store, "history", "csr")
    assert code == 0
    assert said.count("changed") == 1
    assert "speed-up over mkl-dense, geometric mean of 6 cases" in said
    _, said = invoke(store, "history", "csr", "--metric", "median", "--problem", PROBLEMS[0], "--format", "json")
    median = json.loads(said)
    run = RunFolder.open(tmp_path / "3")
    (case,) = (r for r in run.results() if (r.problem, r.kernel) == (PROBLEMS[0], "csr"))
    assert median[2]["value"] == pytest.approx(case.median_s)
    assert median[2]["git_commit"] == f"{3:040}"


def test_runs_without_the_cases_of_the_newest_are_left_out(tmp_path: Path) -> None:
    store = keep(tmp_path, [1.0, 1.0, 1.0])
    whole = RunFolder.open(tmp_path / "1")
    part = RunFolder.create(tmp_path / "part", whole.run | {"started": "2026-09-30T12:00:00+00:00"})
    part.append(whole.results()[: len(KERNELS)])
    elsewhere = make_run(tmp_path / "elsewhere", 9, machine={"model": "another"})
    with Store.open(store) as kept:
        kept.add(part)
        kept.add(elsewhere)
    code, said = invoke(store, "history", "csr", "--format", "markdown")
    assert code == 0
    assert "1 run left out, without all cases of the newest" in said
    assert said.count("2026-") == 3
    _, said = invoke(store, "history", "csr", "--problem", PROBLEMS[0], "--format", "csv")
    assert len(rows(said)) == 4


def test_a_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    store = keep(tmp_path, [1.0] * 6 + [1.25] * 6)
    assert invoke(store, "history", "csr", "--plot", tmp_path / "h.svg")[0] == 0
    assert (tmp_path / "h.svg").read_text().count("2026-10-") >= 6
    assert "a plot ends in" in invoke(store, "history", "csr", "--plot", tmp_path / "h.gif")[1]


def test_listing_adding_and_mistakes(tmp_path: Path) -> None:
    store = keep(tmp_path, [1.0])
    later = make_run(tmp_path / "later", 5, started="2026-10-20T12:00:00+00:00")
    code, said = invoke(store, "history", "--add", later.path)
    assert code == 0
    assert said.count("2026-10-") == 2
    with Store.open(store) as kept:
        first, second = kept.runs()
    assert invoke(store, "history", "--remove", first.id)[1].count("2026-10-") == 1
    for arguments, says in (
        (["crs"], "did you mean 'csr'"),
        (["mkl-dense"], "is itself the baseline"),
        (["csr", "--metric", "sped"], "--metric 'sped' is not known"),
        (["csr", "--format", "clay"], "'clay' is not known"),
        (["--format", "csv"], "'csv' is not known"),
        (["csr", "--threads", "7"], "holds for none"),
        (["csr", "--machine", "none"], f"--machine may be {second.machine}"),
        (["--remove", "abc"], "no run 'abc'"),
    ):
        code, said = invoke(store, "history", *arguments)
        assert code == 2, said
        assert says in said
