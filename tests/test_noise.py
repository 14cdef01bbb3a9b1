"""Noise floors: the statistics on simulated values, and what compare and check make of them."""

from __future__ import annotations

import math
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from stored import KERNELS, PROBLEMS, RECORD, make_run
from test_store import invoke

from sparsebench.bench.change import Scatter, largest_difference, scatter, widened
from sparsebench.bench.stats import Interval
from sparsebench.errors import InputError
from sparsebench.noise import Noise, doubts, from_runs
from sparsebench.report.compare import Limits, compare
from sparsebench.report.threshold_cells import ratio_cell
from sparsebench.run_folder import RunFolder

NOW = datetime(2026, 11, 2, tzinfo=UTC)


def make_runs(tmp_path: Path, count: int = 5, **options: object) -> list[RunFolder]:
    return [make_run(tmp_path / f"run-{seed}", 100 + seed, **options) for seed in range(count)]  # type: ignore[arg-type]


def test_cases_that_scatter_alike_are_pooled() -> None:
    values = np.random.default_rng(1).lognormal(0, 0.03, (400, 4))
    found = scatter(values.tolist())
    assert found[0].sd == pytest.approx(0.03, rel=0.15)
    assert found[0].freedom > 15
    (alone,) = scatter([values[0].tolist()])
    assert alone == Scatter(pytest.approx(np.log(values[0]).std(ddof=1)), 3)


def test_scatter_finds_the_law_that_variances_come_from() -> None:
    """Smyth's model: 1 / variance is chi-squared of 6 degrees of freedom, over 6 times 0.02 squared."""
    rng = np.random.default_rng(2)
    sds = np.sqrt(6 * 0.02**2 / rng.chisquare(6, 2000))
    found = scatter(np.exp(rng.normal(0, 1, (2000, 5)) * sds[:, None]).tolist())
    assert found[0].freedom == pytest.approx(6 + 4, rel=0.2)
    # Nearer to the truth than what four degrees of freedom say alone.
    own = np.exp(rng.normal(0, 1, (2000, 5)) * sds[:, None])
    alone = np.log(own).std(axis=1, ddof=1)
    moderated = np.array([case.sd for case in scatter(own.tolist())])
    assert np.mean(np.log(moderated / sds) ** 2) < 0.6 * np.mean(np.log(alone / sds) ** 2)


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_no_case_of_two_equal_runs_is_beyond_its_floor(runs: int) -> None:
    """19 times in 20, over 40 cases of which each scatters as it likes."""
    rng, beyond, trials, cases = np.random.default_rng(runs), 0, 400, 40
    for _ in range(trials):
        sds = np.sqrt(5 * 0.02**2 / rng.chisquare(5, cases))
        logs = rng.normal(0, 1, (cases, runs + 2)) * sds[:, None]
        known = scatter(np.exp(logs[:, :runs]).tolist())
        change = np.abs(logs[:, -1] - logs[:, -2])
        beyond += any(size > largest_difference(of, cases) for size, of in zip(change, known, strict=True))
    # 5 % are 20; the fit of the law from 40 cases costs a little.
    assert stats.binom.cdf(beyond, trials, 0.05) > 1e-4
    assert beyond / trials < 0.1


def test_a_widened_interval_covers_other_processes() -> None:
    noise = Scatter(0.05, 8)
    low, estimate, high = widened(Interval(1.99, 2.0, 2.01), noise, 0.95)
    assert estimate == 2
    by = math.exp(0.05 * stats.t.ppf(0.975, 8))
    assert (low, high) == (pytest.approx(2 / by), pytest.approx(2 * by))
    # Four runs are twice as sure; what is wider already stays.
    assert widened(Interval(1.99, 2.0, 2.01), noise, 0.95, 4).low == pytest.approx(2 / math.sqrt(by))
    assert widened(Interval(1.0, 2.0, 4.0), noise, 0.95) == Interval(1.0, 2.0, 4.0)
    assert widened(Interval(None, 2.0, None), noise, 0.95) == Interval(None, 2.0, None)


def test_noise_of_runs(tmp_path: Path) -> None:
    found = {case.key: case for case in from_runs(make_runs(tmp_path, 8, scatter={"csr": 0.1}))}
    assert len(found) == len(PROBLEMS) * len(KERNELS)
    for case in found.values():
        assert case.runs == 8
        assert case.rival == ("" if case.kernel == "mkl-dense" else "mkl-dense")
        assert (case.relative_sd is None) == (case.kernel == "mkl-dense")
    noisy, quiet = ([c for c in found.values() if c.kernel == kernel] for kernel in ("csr", "complementary"))
    assert np.mean([c.relative_sd for c in noisy]) == pytest.approx(0.1, rel=0.4)
    assert np.mean([c.relative_sd for c in quiet]) < 0.01
    noise = Noise(found)
    (case,) = (r for r in make_run(tmp_path / "another", 1).results() if (r.problem, r.kernel) == (PROBLEMS[0], "csr"))
    assert noise.of(case, "") == Scatter(noisy[0].sd, noisy[0].freedom)
    assert noise.of(case, "mkl-dense") == Scatter(noisy[0].relative_sd or 0, noisy[0].relative_freedom or 0)
    # Over a rival that it was not relative to.
    other = noise.of(case, "complementary")
    assert other is not None
    assert other.sd == pytest.approx(math.hypot(noisy[0].sd, quiet[0].sd))
    assert noise.of(case, "no-one") is None


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"suites": {"smoke": "another"}}, "text of the suites"),
        ({"machine": {"model": "b"}}, "machine"),
        ({"git_commit": "another"}, "other builds"),
    ],
)
def test_runs_that_are_not_of_one_program(tmp_path: Path, record: dict[str, object], says: str) -> None:
    runs = [*make_runs(tmp_path, 3), make_run(tmp_path / "odd", 9, **record)]  # type: ignore[arg-type]
    with pytest.raises(InputError, match=says):
        from_runs(runs)
    with pytest.raises(InputError, match="2 runs tell too little"):
        from_runs(runs[:2])


def test_compare_heeds_the_floor_of_a_case(tmp_path: Path) -> None:
    runs = make_runs(tmp_path, 5, scatter={"csr": 0.1})
    noise = Noise({case.key: case for case in from_runs(runs)})
    base, head = runs[0], make_run(tmp_path / "head", 7, factors={"csr": 1.3, "complementary": 1.3}, scatter=0.001)
    limits = Limits(noise=0.0)

    def verdicts(kernel: str, known: Noise | None) -> set[str]:
        cases = compare(base, head, limits=limits, noise=known).cases
        return {case.verdict for case in cases if case.kernel == kernel}

    assert "slower" in verdicts("csr", None)
    assert verdicts("csr", noise) <= {"ambiguous", "same"}
    assert verdicts("complementary", noise) == {"slower"}
    reasons = [case.reason for case in compare(base, head, limits=limits, noise=noise).cases if case.kernel == "csr"]
    assert any("is within this case's noise" in reason for reason in reasons)
    # A floor lowers nothing: what is given as noise stands.
    high = compare(base, head, limits=Limits(noise=0.5), noise=noise).cases
    assert not {case.verdict for case in high} & {"slower", "faster"}


def test_check_heeds_the_noise_of_a_case(tmp_path: Path) -> None:
    runs = make_runs(tmp_path, 5, scatter=0.05)
    noise = Noise({case.key: case for case in from_runs(runs)})
    cases = {case.kernel: case for case in runs[0].results() if case.problem == PROBLEMS[0]}
    plain = ratio_cell([cases["csr"]], [[cases["mkl-dense"]]])
    noisy = ratio_cell([cases["csr"]], [[cases["mkl-dense"]]], noise)
    assert plain is not None
    assert noisy is not None
    assert (plain.noisy, noisy.noisy) == (False, True)
    narrow, wide = plain.at(0.95), noisy.at(0.95)
    assert wide.estimate == narrow.estimate
    assert (wide.low or 0) < 0.95 * (narrow.low or 0)
    assert noisy.at(0.99).low < (wide.low or 0)  # type: ignore[operator]


def test_noise_that_may_be_out_of_date(tmp_path: Path) -> None:
    cases = from_runs(make_runs(tmp_path, 3))
    assert list(doubts(cases, RECORD, NOW)) == []
    (old,) = doubts(cases, RECORD, datetime(2026, 12, 15, tzinfo=UTC))
    assert old.startswith(f"noise of {len(cases)} cases was measured 43 days ago")
    both = list(doubts(cases, RECORD | {"sparsebench": "0.2.0", "suites": {"smoke": "changed"}}, NOW))
    assert ["sparsebench 0.1.0, not 0.2.0" in both[0], "another text of the suite" in both[1]] == [True, True]


def test_the_command(tmp_path: Path) -> None:
    store = tmp_path / "store"
    runs = make_runs(tmp_path, 4, scatter={"csr": 0.1})
    given = [word for folder in runs for word in ("--from", folder.path)]
    code, said = invoke(store, "noise", *given)
    assert (code, "noise floors" in said) == (0, True)
    code, shown = invoke(store, "noise", "--show", "--all")
    assert code == 0
    assert "4 runs, sparsebench 0.1.0" in shown
    assert shown.count(" thread, ") == len(PROBLEMS) * len(KERNELS)
    code, said = invoke(store, "compare", runs[0].path, runs[1].path, "--format", "markdown")
    assert "noise floors of 12 of 12 cases" in said
    for arguments, says in (
        (["noise"], "give a SUITE"),
        (["noise", "smoke", "--show"], "one of them"),
        (["noise", *given[:2]], "1 runs tell too little"),
        (["noise", "--show", "--format", "csv"], "'csv' is not known"),
    ):
        code, said = invoke(store, *arguments)
        assert code == 2
        assert says in said


def test_real_runs(tmp_path: Path) -> None:
    """Three runs of a small problem are made and kept, and a fourth is recorded."""
    store, small = tmp_path / "store", ["--problem", "matmul:64x64x8:unstructured+0.9:f32", "--kernels", "csr"]
    few = [*small, "--threads", "1", "--budget", "0.1", "--quiet"]
    assert invoke(store, "noise", *few, "--runs", "3", "--out", tmp_path / "aa")[0] == 0
    assert sorted(path.name for path in (tmp_path / "aa").iterdir()) == ["run-1", "run-2", "run-3"]
    assert "3 runs" in invoke(store, "noise", "--show")[1]
    assert invoke(store, "run", *few, "--out", tmp_path / "run", "--record")[0] == 0
    assert "csr: speed-up" in invoke(store, "history", "csr")[1]
    refused = invoke(store, "run", *few, "--out", tmp_path / "again")
    assert refused == (2, "--store is for --record and --check")


def test_a_run_given_twice_has_no_noise(tmp_path: Path) -> None:
    runs = make_runs(tmp_path, 3)
    with pytest.raises(InputError, match="are the same run, or copies of it"):
        from_runs([*runs[:2], RunFolder.open(tmp_path / "run-0")])
    shutil.copytree(tmp_path / "run-0", tmp_path / "copy")
    with pytest.raises(InputError, match="are the same run, or copies of it"):
        from_runs([*runs, RunFolder.open(tmp_path / "copy")])
