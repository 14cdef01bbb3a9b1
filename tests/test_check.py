"""Checking a run as a whole: what is refused, and what is measured again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_report import make_case

from sparsebench import check as checking
from sparsebench import isa, registry
from sparsebench.bench import machine
from sparsebench.bench.plan import Request, RunPlan, describe, make_plan
from sparsebench.errors import InputError
from sparsebench.results import CaseResult
from sparsebench.run_folder import RunFolder
from sparsebench.suite.thresholds import Threshold, ThresholdTable

PROBLEMS = [f"matmul:64x64x{n}:complementary/8+0.95:f32" for n in (1, 8, 16)]
KERNELS = ("mkl-dense", "scipy-csr", "complementary")


def claim(limit: float, **more: Any) -> Threshold:
    table = {"claim": "c", "kernel": "complementary", "against": "scipy-csr", "at_least": limit, **more}
    return Threshold(ThresholdTable(**table), "t.toml")


def make_run(path: Path, results: Sequence[CaseResult], **entries: Any) -> RunFolder:
    """A complete run of this machine with such results."""
    plan = make_plan(Request(problems=tuple(PROBLEMS), kernels=KERNELS))
    folder = RunFolder.create(path, describe(plan, ["sparsebench", "run"]) | {"finished": "now"} | entries)
    folder.append(results)
    return folder


def cases(factor: float = 1.0, group: str = "") -> list[CaseResult]:
    """Complementary is 12.8 / factor times as fast as scipy-csr."""
    made = [make_case(problem, kernel, 1) for problem in PROBLEMS for kernel in KERNELS]
    level = isa.active()
    slowed = [
        replace(c, samples_s=[factor * s for s in c.samples_s]) if c.kernel == "complementary" else c for c in made
    ]
    return [replace(c, suite="problem", level=level, group=group + c.group) for c in slowed]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "r", cases())


class Bench:
    """Stands in for measuring: gives the results of such cases as it is asked for."""

    def __init__(self, *factors: float) -> None:
        self.factors = list(factors)
        self.plans: list[RunPlan] = []

    def __call__(self, plan: RunPlan, folder: RunFolder) -> list[CaseResult]:
        self.plans.append(plan)
        asked = {(str(g.problem), name) for g in plan.groups for name in g.kernels}
        known = cases(self.factors.pop(0), group=f"again {len(self.plans)} ")
        folder.append([case for case in known if (case.problem, case.kernel) in asked])
        return folder.results()


def test_what_is_undecided_is_measured_again_and_no_more(run: RunFolder) -> None:
    thresholds = [claim(12.8), claim(5.0), claim(12.8, against="mkl-dense")]
    bench = Bench(1.05, 1.05, 1.05)
    outcomes = checking.check(run, thresholds[:3], confirm=3, measure=bench)
    # 12.8 and 12.2 pooled are less than 12.8; 16 over mkl-dense was beyond doubt.
    assert [o.verdict for o in outcomes][1:] == ["holds", "holds"]
    (first, *_) = bench.plans
    assert {group.kernels for group in first.groups} == {("scipy-csr", "complementary")}
    assert {str(group.problem) for group in first.groups} == set(PROBLEMS)
    assert first.settings.effort == make_plan(Request(problems=(PROBLEMS[0],))).settings.effort
    assert sorted(path.name for path in run.path.glob("confirm-*")) == [
        f"confirm-{i + 1}" for i in range(len(bench.plans))
    ]
    again = RunFolder.open(run.path / "confirm-1")
    assert {r.kernel for r in again.results()} == {"scipy-csr", "complementary"}
    assert len(outcomes[0].cells) == 3


def test_pooled_rounds_decide(run: RunFolder) -> None:
    (before,) = checking.check(run, [claim(12.7)])
    (after,) = checking.check(run, [claim(12.7)], confirm=3, measure=Bench(0.9, 0.9, 0.9))
    assert (before.verdict, after.verdict) == ("undecided", "holds")


def test_what_stays_undecided_says_so_in_the_end(run: RunFolder) -> None:
    bench = Bench(1.0, 1.0)
    (outcome,) = checking.check(run, [claim(12.8)], confirm=2, measure=bench)
    assert (outcome.verdict, len(bench.plans)) == ("undecided", 2)
    # Another check does not write over what was measured.
    checking.check(run, [claim(12.8)], confirm=1, measure=Bench(1.0))
    assert len(list(run.path.glob("confirm-*"))) == 3


def test_of_the_worst_cell_only_doubtful_ones_are_measured_again(tmp_path: Path) -> None:
    fast = [
        replace(c, samples_s=[s / 2 for s in c.samples_s]) if c.kernel == "complementary" and c.N > 1 else c
        for c in cases()
    ]
    bench = Bench(1.0)
    checking.check(make_run(tmp_path / "r", fast), [claim(12.8, statistic="min")], confirm=1, measure=bench)
    assert [str(group.problem) for group in bench.plans[0].groups] == PROBLEMS[:1]


def test_what_falls_short_must_do_so_in_two_processes(run: RunFolder) -> None:
    bench = Bench(1.0)
    (outcome,) = checking.check(run, [claim(13.5)], confirm=5, measure=bench)
    assert (outcome.verdict, len(bench.plans)) == ("falls short", 1)
    # The first process was slow by chance: with another, more is needed to tell.
    bench = Bench(0.9, 0.9, 0.9)
    (outcome,) = checking.check(run, [claim(13.5)], confirm=3, measure=bench)
    assert (outcome.verdict, len(bench.plans)) == ("holds", 3)
    (outcome,) = checking.check(run, [claim(13.5)])
    assert outcome.verdict == "falls short"


def test_decided_thresholds_measure_nothing(run: RunFolder) -> None:
    bench = Bench()
    checking.check(run, [claim(5.0), claim(1.0, where="N == 99")], confirm=3, measure=bench)
    assert bench.plans == []


def test_an_incomplete_run_is_refused(run: RunFolder) -> None:
    del run.run["finished"]
    with pytest.raises(InputError, match="not complete, and what is missing is no pass; finish it with"):
        checking.check(run, [claim(1.0)])


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"machine": machine.machine_key() | {"model": "another"}}, "another machine$"),
        (
            {"conditions": {"before": machine.conditions() | {"build": {"commit": "old"}}}},
            "another build of the kernels",
        ),
        (
            {"conditions": {"before": machine.conditions() | {"libraries": {"numpy": "0.1"}}}},
            "another set of library versions",
        ),
    ],
)
def test_rounds_of_other_circumstances_are_not_pooled(tmp_path: Path, entries: dict[str, Any], says: str) -> None:
    folder = make_run(tmp_path / "r", cases(), **entries)
    assert checking.check(folder, [claim(1.0)])[0].verdict == "holds"
    with pytest.raises(InputError, match=says):
        checking.check(folder, [claim(1.0)], confirm=1, measure=Bench())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({}, None),
        ({"where": "N == 8"}, None),
        ({"where": "roofline_s > 0 and N == 9"}, None),
        ({"where": "N == 9"}, "where 'N == 9' holds for none of the cases to be run"),
        ({"where": "colour == 9"}, "name 'colour' is not defined"),
        ({"kernel": "csr"}, "kernel 'csr' is not among those to be run"),
        ({"against": ["scipy-csr", "mkl-crs"]}, "kernel 'mkl-crs' is not among those to be run"),
    ],
)
def test_what_a_run_will_not_measure_is_refused_before_it_begins(more: dict[str, Any], says: str | None) -> None:
    plan = make_plan(Request(problems=tuple(PROBLEMS), kernels=KERNELS))
    if says is None:
        checking.foresee([claim(1.0, **more)], plan.groups)
        return
    with pytest.raises(InputError, match=says):
        checking.foresee([claim(1.0, **more)], plan.groups)


def test_shipped_thresholds_can_be_measured() -> None:
    """Every threshold of every shipped suite names kernels that its suite runs, and matches some of its problems."""
    registry.kernels.cache_clear()
    for name in ("smoke", "poster", "conv", "sparse-sparse", "gsc"):
        plan = make_plan(Request(suites=(name,)))
        found = checking.thresholds_for(plan.suite_texts, [])
        assert found
        checking.foresee(found, plan.groups)
