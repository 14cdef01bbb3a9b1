"""Break-evens on synthetic rounds with known answers."""

from __future__ import annotations

import csv
import io
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import make_run
from test_report import make_case

from sparsebench.errors import InputError
from sparsebench.report import break_even_table, tables_renderer
from sparsebench.report.break_even import BreakEven, crossing, find, require
from sparsebench.report.loaded import load
from sparsebench.results import CaseResult

DENSITIES = (0.5, 0.2, 0.1, 0.05)
DENSE_S = 1e-3


def case(density: float, kernel: str, seconds: float, noise: float, rounds: int, seed: int) -> CaseResult:
    problem = f"matmul:512x512x64:unstructured+{1 - density:g}:f32"
    rng = np.random.default_rng(zlib.crc32(f"{density} {kernel} {seed}".encode()))
    samples = list(seconds * rng.lognormal(0, noise, rounds))
    made = make_case(problem, kernel, 1, status="ok", error="", samples_s=samples, density=density)
    return replace(made, median_s=float(np.median(samples)), prepare_s=2e-3)


def found(
    times: Mapping[str, float],
    folder: Path,
    *,
    noise: float = 0.0,
    rounds: int = 15,
    power: float = 1.0,
    seed: int = 0,
    dense: Mapping[str, float] = {"mkl-dense": 2.0, "dense": 1.0},
) -> list[BreakEven]:
    """Break-evens of kernels whose time at density 1 is so many milliseconds and falls as a power of the density."""
    cases = [
        case(density, kernel, 1e-3 * at_one * density**power, noise, rounds, seed)
        for density in DENSITIES
        for kernel, at_one in times.items()
    ]
    cases += [case(d, kernel, 1e-3 * ms, noise, rounds, seed) for d in DENSITIES for kernel, ms in dense.items()]
    return find(load([make_run(folder, cases)]))


@given(st.floats(2.1, 19.9), st.floats(0.3, 2.0))
@settings(max_examples=25, deadline=None)
def test_power_laws_cross_where_they_do(at_one: float, power: float) -> None:
    """t = at_one x density^power passes 1 at at_one^(-1/power), whatever densities are measured in between."""
    truth = at_one ** (-1 / power)
    densities = np.log(np.array([0.9, 0.5, 0.2, 0.1, 0.05, 0.001]))
    speedups = -np.log(at_one) - power * densities
    expected = truth if truth < 0.9 else math.inf
    if truth >= 0.001:
        assert crossing(densities, speedups[None])[0] == pytest.approx(expected)


def test_the_best_dense_kernel_sets_the_mark(tmp_path: Path) -> None:
    # dense takes 1 ms, mkl-dense 2 ms: csr crosses where 8 ms x density is 1 ms, not 2.
    (item,) = found({"csr": 8.0}, tmp_path)
    assert item.verdict == "crosses"
    assert item.density == pytest.approx(1 / 8)
    assert {place.dense for place in item.places} == {"dense"}
    assert [place.speedup for place in item.places] == pytest.approx([1 / (8 * d) for d in DENSITIES])


def test_never_and_always_are_said_as_such(tmp_path: Path) -> None:
    slow, fast = found({"csr": 30.0, "mkl-csr": 1.5}, tmp_path)
    assert (slow.kernel, slow.verdict, slow.density, slow.low, slow.high) == ("csr", "not reached", 0, 0, 0)
    assert (fast.kernel, fast.verdict, fast.density) == ("mkl-csr", "always faster", math.inf)
    assert [place.calls for place in slow.places] == [None] * 4
    texts = [row.cells for table in break_even_table.tables([slow, fast])[:1] for row in table.rows]
    assert [cell.text for cell in texts[0]] == [">95%", "<50%"]
    assert [cell.kind for cell in texts[0]] == ["absent", "value"]


def test_a_kernel_that_is_faster_only_in_between_has_not_broken_even() -> None:
    densities = np.log(np.array([0.5, 0.2, 0.1, 0.05]))
    assert crossing(densities, np.array([[-1.0, 1.0, 1.0, -1.0]]))[0] == 0
    # Twice across: the last crossing counts, from which on it stays faster.
    assert crossing(densities, np.array([[1.0, -1.0, 1.0, 1.0]]))[0] == pytest.approx(math.sqrt(0.2 * 0.1))


def test_calls_are_prepare_time_over_the_time_saved(tmp_path: Path) -> None:
    (item,) = found({"csr": 8.0}, tmp_path)
    assert [place.calls for place in item.places] == [
        None,
        None,
        pytest.approx(2e-3 / (DENSE_S - 0.8e-3)),
        pytest.approx(2e-3 / (DENSE_S - 0.4e-3)),
    ]


def test_intervals_cover_the_truth(tmp_path: Path) -> None:
    """Of 60 simulated runs the interval misses at most 8: of more the chance is below 1 in 200 if it covers 95 %."""
    missed = 0
    for seed in range(60):
        (item,) = found({"csr": 8.0}, tmp_path / str(seed), noise=0.1, rounds=25, seed=seed)
        assert item.low is not None
        assert item.high is not None
        assert item.low < item.density < item.high
        missed += not item.low <= 1 / 8 <= item.high
    assert missed <= 8


def test_too_few_rounds_claim_no_interval(tmp_path: Path) -> None:
    (item,) = found({"csr": 8.0}, tmp_path, rounds=2)
    assert (item.low, item.high) == (None, None)
    assert break_even_table.interval_text(item) == "(?)"


def test_an_interval_may_reach_beyond_what_was_measured(tmp_path: Path) -> None:
    (item,) = found({"csr": 2.0}, tmp_path, noise=0.3)
    assert item.high == math.inf
    assert "<50%" in break_even_table.interval_text(item)


def test_one_density_or_no_dense_kernel_has_no_break_even(tmp_path: Path) -> None:
    assert found({"csr": 8.0}, tmp_path / "a", dense={}) == []
    with pytest.raises(InputError, match="sparsebench run break-even"):
        require([])


def test_tables_and_csv_agree(tmp_path: Path) -> None:
    items = found({"csr": 8.0, "mkl-csr": 12.0}, tmp_path)
    tables = break_even_table.tables(items)
    assert [row.cells[0].text for row in tables[0].rows] == ["87.5%"]
    assert [row.cells[0].best for row in tables[0].rows] == [True]
    assert [row.labels for row in tables[1].rows] == [("512x512", "64", s) for s in ("50%", "80%", "90%", "95%")]
    assert tables[1].rows[3].cells[0].text == "2.50"
    assert tables[1].rows[3].cells[0].detail == "(4)"
    stream = io.StringIO()
    break_even_table.write_csv(items, stream)
    rows = list(csv.DictReader(stream.getvalue().splitlines()))
    assert len(rows) == 8
    assert float(rows[0]["break_even_density"]) == pytest.approx(1 / 8)
    assert {row["pattern"] for row in rows} == {"unstructured"}
    assert [row["calls_to_amortise"] for row in rows[:2]] == ["", ""]


@pytest.mark.parametrize("form", ["console", "markdown"])
def test_tables_are_rendered(tmp_path: Path, form: str) -> None:
    stream = io.StringIO()
    tables_renderer(form)(break_even_table.tables(found({"csr": 8.0}, tmp_path)), stream)
    assert "87.5%" in stream.getvalue()
    assert "best dense: dense" in stream.getvalue()


def test_the_suite_varies_what_a_break_even_needs() -> None:
    from sparsebench.bench.plan import Request, make_plan

    plan = make_plan(Request(suites=("break-even",)))
    densities = {}
    for group in plan.groups:
        problem = group.problem
        densities.setdefault((problem.shape, problem.N, str(problem.pattern)), set()).add(problem.density)
    assert len(densities) == 16
    assert all(len(values) == 6 and 0.5 in values and 0.01 in values for values in densities.values())
