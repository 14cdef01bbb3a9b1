"""Comparing runs: synthetic runs whose changes are known."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import make_case
from typer.testing import CliRunner

from sparsebench.bench.change import discoveries, over_cases, p_beyond, shift
from sparsebench.bench.stats import Interval
from sparsebench.cli.app import app
from sparsebench.errors import InputError
from sparsebench.report.compare import Change, Comparison, Limits, _discovered, compare, differences
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder

PROBLEMS = [f"matmul:{m}x512x{n}:complementary/8+0.95:f32" for m in (512, 1024, 2048, 4096) for n in (1, 8, 64)]
KERNELS = ("mkl-dense", "scipy-csr", "complementary")
RECORD = {
    "machine": {"model": "a", "cores": 2},
    "conditions": {"before": {"libraries": {"mkl": "1", "numpy": "2"}}},
    "suites": {"smoke": "text"},
    "groups": [{"level": "v3", "suite": "smoke", "problem": PROBLEMS[0], "kernels": [], "threads": 1}],
    "finished": "now",
}


def make_run(
    path: Path, factors: Mapping[str, float], *, seed: int, process: float = 0.02, drift: float = 1.0, **record: Any
) -> RunFolder:
    """A run in which kernels take so many times as long; `process` is the scatter between processes of one case."""
    rng = np.random.default_rng([seed, zlib.crc32(path.name.encode())])
    results = []
    for problem in PROBLEMS:
        rounds = rng.lognormal(0, 0.05, 15)
        for kernel in KERNELS:
            case = make_case(problem, kernel, 1)
            its = factors.get(kernel, 1.0) * drift * rng.lognormal(0, process)
            samples = [float(case.median_s or 1) * its * slow * rng.lognormal(0, 0.01) for slow in rounds]
            results.append(replace(case, samples_s=samples, median_s=float(np.median(samples))))
    folder = RunFolder.create(path, {**RECORD, **record})
    folder.append(results)
    return folder


def verdicts(base: RunFolder, head: RunFolder, **options: Any) -> dict[str, str]:
    return {change.kernel: change.verdict for change in compare(base, head, **options).kernels}


def test_a_slower_kernel_is_found_and_no_other(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    head = make_run(tmp_path / "head", {"complementary": 1.12}, seed=2)
    comparison = compare(base, head, kernels=("*",))
    assert {c.kernel: c.verdict for c in comparison.kernels} == {
        "mkl-dense": "same",
        "scipy-csr": "same",
        "complementary": "slower",
    }
    assert comparison.exit_code == 1
    (change,) = (c for c in comparison.kernels if c.kernel == "complementary")
    assert change.relative_to == "mkl-dense"
    assert change.factor.low is not None
    assert change.factor.high is not None
    assert change.factor.low < 1.12 < change.factor.high
    assert verdicts(head, base)["complementary"] == "faster"


def test_false_alarms_and_misses_over_many_pairs(tmp_path: Path) -> None:
    """Pairs of equal runs: no kernel is slower or faster. An 8 % slowdown is found, with a scatter of 2 % a process."""
    alarms, found = 0, 0
    for pair in range(20):
        base = make_run(tmp_path / f"b{pair}", {}, seed=10 + pair)
        same = make_run(tmp_path / f"s{pair}", {}, seed=50 + pair)
        slow = make_run(tmp_path / f"h{pair}", {"complementary": 1.08}, seed=90 + pair)
        alarms += compare(base, same).exit_code != 0
        found += verdicts(base, slow)["complementary"] == "slower"
    assert alarms <= 1
    assert found >= 18


def test_a_drift_of_the_whole_machine_cancels(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    head = make_run(tmp_path / "head", {}, seed=2, drift=1.3)
    comparison = compare(base, head, kernels=("*",))
    assert {c.kernel: c.verdict for c in comparison.kernels if c.relative_to} == {
        "scipy-csr": "same",
        "complementary": "same",
    }
    assert comparison.moved["mkl-dense"] == pytest.approx(1.3, rel=0.05)
    assert verdicts(base, head, relative_to="")["complementary"] == "slower"


def test_one_case_needs_more_than_its_own_interval(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1, process=0.001)

    def slowed(factor: float) -> Change:
        comparison = compare(base, changed(base, tmp_path / f"head{factor}", "complementary", factor))
        found = case_of(comparison, "complementary")
        assert not {c.verdict for c in comparison.cases if c is not found} & {"slower", "faster"}
        return found

    assert slowed(1.4).verdict == "slower"
    within = slowed(1.12)
    assert within.verdict == "ambiguous"
    assert "within what processes differ by, 25%" in within.reason


def test_a_change_of_nanoseconds_is_none() -> None:
    from sparsebench.report.compare import _judge_cases

    change = Change("k", "p", Interval(1.9, 2.0, 2.1), "unknown", "", own=2.0)
    cases = [replace(make_case(PROBLEMS[0], "complementary", 1), median_s=seconds) for seconds in (1e-6, 6e-8)]
    slow, quick = _judge_cases([change, change], [(case, case) for case in cases], Limits())
    assert slow.verdict == "slower"
    assert (quick.verdict, quick.reason) == ("ambiguous", "30.0 ns is below 50.0 ns")


def changed(base: RunFolder, path: Path, kernel: str, factor: float, **fields: Any) -> RunFolder:
    """The same run, but for one kernel at one problem."""
    results = [
        replace(r, samples_s=[factor * s for s in r.samples_s], median_s=factor * (r.median_s or 0), **fields)
        if (r.problem, r.kernel) == (PROBLEMS[5], kernel)
        else r
        for r in base.results()
    ]
    head = RunFolder.create(path, dict(RECORD))
    head.append(results)
    return head


def case_of(comparison: Comparison, kernel: str) -> Change:
    (found,) = (c for c in comparison.cases if PROBLEMS[5] in c.place and c.kernel == kernel)
    return found


def test_a_rival_that_moves_alone_makes_no_kernel_faster(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1, process=0.001)
    head = changed(base, tmp_path / "head", "mkl-dense", 1.14)
    comparison = compare(base, head, limits=Limits(noise=0.08))
    assert comparison.exit_code == 0 and {c.kernel for c in comparison.cases} == {"complementary"}
    found = case_of(comparison, "complementary")
    assert found.verdict == "ambiguous"
    assert found.reason == "its own time changed by +0.0%: it is mkl-dense that moved"
    # Who asks after rivals is told of them.
    far = changed(base, tmp_path / "far", "mkl-dense", 1.4)
    assert case_of(compare(base, far, kernels=("mkl-*",)), "mkl-dense").verdict == "slower"
    with pytest.raises(InputError, match="no case of both runs is of kernel 'clay'; there are: complementary"):
        compare(base, head, kernels=("clay",))


def test_what_was_measured_beside_other_work_proves_nothing(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1, process=0.001)
    head = changed(base, tmp_path / "head", "complementary", 2.0, others_cpus=0.4)
    comparison = compare(base, head)
    assert comparison.exit_code == 0
    found = case_of(comparison, "complementary")
    assert (found.verdict, found.reason) == ("ambiguous", "others took 0.40 CPUs while head was measured")
    (kernel,) = comparison.kernels
    assert kernel.place == f"{len(PROBLEMS) - 1} cases" and kernel.factor.estimate == pytest.approx(1, rel=1e-3)
    little = changed(base, tmp_path / "little", "complementary", 2.0, others_cpus=0.04)
    assert case_of(compare(base, little), "complementary").verdict == "slower"
    shown = CliRunner().invoke(app, ["compare", str(base.path), str(head.path)]).output
    assert "1 of 12 cases left out: one of the runs was disturbed" in " ".join(shown.split())


def test_rounds_in_which_a_rival_changed_were_disturbed(tmp_path: Path) -> None:
    """Whatever slowed a rival down that is the same in both runs slowed others of its rounds, by other factors."""
    base = make_run(tmp_path / "base", {}, seed=1, process=0.001)
    head = changed(changed(base, tmp_path / "first", "scipy-csr", 1.3), tmp_path / "head", "complementary", 1.25)
    comparison = compare(base, head)
    found = case_of(comparison, "complementary")
    assert (found.verdict, found.reason) == ("ambiguous", "scipy-csr, the same in both runs, changed by +30% here")
    (kernel,) = comparison.kernels
    assert kernel.place == f"{len(PROBLEMS) - 1} cases" and kernel.factor.estimate == pytest.approx(1, rel=1e-3)
    calm = changed(changed(base, tmp_path / "second", "scipy-csr", 1.1), tmp_path / "calm", "complementary", 1.3)
    assert case_of(compare(base, calm), "complementary").verdict == "slower"
    # Who judges rivals takes none of those judged for a control.
    assert case_of(compare(base, head, kernels=("*",)), "scipy-csr").verdict == "slower"


def test_times_of_cpus_that_were_moved_are_not_compared(tmp_path: Path) -> None:
    near = make_run(tmp_path / "near", {}, seed=1, process=0.001)
    base = changed(near, tmp_path / "base", "complementary", 1.0, round_trip_s=57e-9)
    head = changed(near, tmp_path / "head", "complementary", 2.0, round_trip_s=375e-9)
    found = case_of(compare(base, head), "complementary")
    assert (found.verdict, found.reason) == ("ambiguous", "the CPUs were 57 ns apart in base and 375 ns apart in head")
    head = changed(near, tmp_path / "near-too", "complementary", 2.0, round_trip_s=72e-9)
    assert case_of(compare(base, head), "complementary").verdict == "slower"


def broken(result: CaseResult, status: str) -> CaseResult:
    return replace(result, status=status, error="no", samples_s=[], median_s=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "code"), [("wrong", 3), ("failed", 4), ("timeout", 4)])
def test_what_broke_is_not_slower(tmp_path: Path, status: str, code: int) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    results = base.results()
    head = RunFolder.create(tmp_path / "head", dict(RECORD))
    head.append([broken(results[2], status), *(r for r in results if r is not results[2])])
    comparison = compare(base, head)
    assert [result.status for result in comparison.broken] == [status]
    assert comparison.exit_code == code
    # The other way round it was mended.
    assert compare(head, base).exit_code == 0


@pytest.mark.parametrize(
    ("field", "record"),
    [
        ("machine", {"machine": {"model": "b", "cores": 2}}),
        ("libraries", {"conditions": {"before": {"libraries": {"mkl": "2", "numpy": "2"}}}}),
        ("suite", {"suites": {"smoke": "another text"}}),
        ("level", {"groups": [{**RECORD["groups"][0], "level": "v4"}]}),
    ],
)
def test_other_circumstances_are_refused_unless_meant(tmp_path: Path, field: str, record: dict[str, Any]) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    head = make_run(tmp_path / "head", {}, seed=2, **record)
    assert [name for name, _ in differences(base.run, head.run)] == [field]
    command = ["compare", str(base.path), str(head.path)]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 5
    assert f"if that is meant: --vary {field}" in refused.output
    assert CliRunner().invoke(app, [*command, "--vary", field]).exit_code == 0


def test_versions_count_of_rivals_that_were_measured() -> None:
    def run(version: str, *kernels: str) -> dict[str, Any]:
        known = {"torch-csr": {"provider": "torch", "version": version, "missing": None}}
        known["csr"] = {"provider": "sparsebench", "version": version, "missing": None}
        return {**RECORD, "kernels": known, "groups": [{**RECORD["groups"][0], "kernels": list(kernels)}]}

    both = run("1", "csr", "torch-csr"), run("2", "csr", "torch-csr")
    assert list(differences(*both)) == [("libraries", "torch 1 and 2")]
    assert not list(differences(run("1", "csr"), run("2", "csr")))
    assert not list(differences(run("1", "csr"), run("2", "csr", "torch-csr")))


def test_the_command(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    same = make_run(tmp_path / "same", {}, seed=2)
    slow = make_run(tmp_path / "slow", {"complementary": 1.5}, seed=3)
    paths = [str(folder.path) for folder in (base, same, slow)]
    shown = CliRunner().invoke(app, ["compare", *paths], env={"COLUMNS": "250"})
    assert shown.exit_code == 1
    assert "has itself moved" in shown.output
    assert "12 slower" in shown.output
    assert shown.output.count("slower (") == 12
    explained = CliRunner().invoke(app, ["compare", *paths[:2], "--explain", "--format", "markdown"])
    assert explained.exit_code == 0
    assert explained.output.count("complementary at matmul:") == 12
    for arguments, says in (
        ([paths[0], paths[1], "--relative-to", "no-one"], "no case of both runs is of kernel 'no-one'"),
        ([paths[0], paths[1], "--vary", "weather"], "--vary 'weather' is not known"),
        ([paths[0], paths[1], "--kernels", "complementary,scipy-crs"], "'scipy-crs'; nearest: scipy-csr"),
        ([paths[0], paths[1], "--kernels", ","], "--kernels ',' names no kernel"),
        ([paths[0], paths[1], "--format", "clay"], "--format 'clay' is not known"),
        ([paths[0], str(tmp_path / "absent")], "there is no run at"),
    ):
        result = CliRunner().invoke(app, ["compare", *arguments])
        assert isinstance(result.exception, InputError) or result.exit_code == 2
        assert says in f"{result.output}{result.exception}"


def test_what_is_missing_is_no_pass(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    planned = {**RECORD["groups"][0], "problem": "matmul:64x64x1:complementary/8+0.95:f32", "kernels": ["csr"]}
    for name, factor, code in (("same", 1.0, 5), ("slow", 1.5, 1)):
        head = make_run(tmp_path / name, {"complementary": factor}, seed=2, groups=[*RECORD["groups"], planned])
        result = CliRunner().invoke(app, ["compare", str(base.path), str(head.path)])
        assert (result.exit_code, "the run is not complete" in result.output) == (code, True)


@pytest.mark.parametrize(("status", "code"), [("wrong", 3), ("timeout", 4)])
def test_where_all_broke_that_is_said(tmp_path: Path, status: str, code: int) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    head = RunFolder.create(tmp_path / "head", dict(RECORD))
    head.append([broken(result, status) for result in base.results()])
    assert compare(base, head).exit_code == code


def test_cases_that_were_disturbed_make_it_no_easier_for_others() -> None:
    far, near = (Change("k", "p", Interval(low, 1.2, 1.4), "unknown", "") for low in (1.19, 1.035))
    sure = [replace(far, disturbed="others took 1.00 CPUs")] * 50
    found = _discovered(
        [*sure, *[near] * 2, *[replace(far, factor=Interval(0.9, 1.0, 1.1))] * 40], [0.0] * 50 + [0.02] * 2 + [0.9] * 40
    )
    assert found == [True] * 50 + [False] * 42


def test_runs_that_share_nothing(tmp_path: Path) -> None:
    base = make_run(tmp_path / "base", {}, seed=1)
    head = RunFolder.create(tmp_path / "head", dict(RECORD))
    head.append([make_case("matmul:64x64x1:complementary/8+0.95:f32", "csr", 1)])
    with pytest.raises(InputError, match="share no measured case"):
        compare(base, head)


def test_shift_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        found = shift(rng.lognormal(0, 0.1, 15), 1.2 * rng.lognormal(0, 0.1, 15))
        held += found.low is not None and found.high is not None and found.low <= 1.2 <= found.high
    # Joined, the two intervals hold more than they promise.
    assert held / 600 >= 0.93


def test_statistics_at_their_edges() -> None:
    assert shift([1.0], [2.0]) == Interval(None, 2.0, None)
    assert p_beyond(Interval(None, 2.0, None), 1.0) == 1.0
    assert p_beyond(Interval(1.1, 1.2, 1.3), 1.2) == pytest.approx(0.5)
    assert over_cases([1.0, 1.0, 4.0, 1.0]).low is None
    mean = over_cases([1.0, 2.0, 4.0, 2.0, 2.0])
    assert mean.estimate == pytest.approx(2)
    assert mean.low is not None
    assert mean.low < 2
    assert discoveries([]) == []
    # Of ten, the fifth smallest has to be below 0.025.
    assert discoveries([0.001, 0.2, 0.9, 0.004]) == [True, False, False, True]
