"""Claims in files, and verdicts on synthetic results with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import make_case, make_cases, spoil

from sparsebench.bench.stats import ratio_interval
from sparsebench.errors import InputError
from sparsebench.report.thresholds import Outcome, evaluate, exit_code, severity, unsettled
from sparsebench.results import CaseResult
from sparsebench.suite.thresholds import Threshold, ThresholdTable, of_suites, read_thresholds

HERE = "0123456789ab"
# Of test_report's synthetic kernels: complementary is 16 times as fast as mkl-dense, mkl-csr 4, scipy-csr 1.25.
CLAIM: dict[str, Any] = {"claim": "c", "kernel": "complementary", "against": "mkl-csr", "where": "lanes == 8"}
CASES = list(make_cases())
CELLS = [
    f"matmul:{shape}:complementary/8+0.95:f32" for shape in ("512x512x1", "512x512x64", "3072x768x1", "3072x768x64")
]


def judge(cases: Sequence[CaseResult] = CASES, looks: int = 1, **claim: Any) -> Outcome:
    (outcome,) = evaluate(cases, [Threshold(ThresholdTable(**CLAIM | claim), "file.toml")], HERE, looks)
    return outcome


def timed(case: CaseResult, factor: float) -> CaseResult:
    """The case, so many times as slow."""
    return replace(
        case, samples_s=[factor * s for s in case.samples_s], median_s=case.median_s and factor * case.median_s
    )


def write(folder: Path, text: str) -> str:
    path = folder / "t.toml"
    path.write_text(text)
    return str(path)


# -- files

HEAD = "[[thresholds]]\nclaim='c'\nkernel='csr'\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "thresholds: this key is missing"),
        ("thresholds = []", "thresholds: List should have at least 1 item"),
        ("title = 'x'\n[[thresholds]]\n", "title: unknown key"),
        ("[[thresholds]]\nkernel='csr'", r"thresholds\[0\].claim: this key is missing"),
        (HEAD + "against='a'", "give at_least, at_most, or both"),
        (HEAD + "against='a'\nat_least=3\nat_most=2", "must not be more than at_most"),
        (HEAD + "against='a'\nat_least=-1", "at_least: Input should be greater than 0"),
        (HEAD + "at_least=1", "needs against = a kernel, a list of kernels, or"),
        (HEAD + "against=['a','csr']\nat_least=1", "other kernels; it has 'csr'"),
        (HEAD + "against=['roofline']\nat_least=1", "it has 'roofline'"),
        (HEAD + "against=[]\nat_least=1", "against: .*at least 1 item"),
        (HEAD + "metric='median_s'\nat_most=1", "give machine = its key"),
        (HEAD + "metric='median_s'\nmachine='here'\nat_most=1", "machine: String should"),
        (HEAD + "metric='packed_bytes'\nagainst='a'\nat_most=1", "leave it out"),
        (HEAD + "metric='speed'\nat_most=1", "metric: Input should be 'speedup', "),
        (HEAD + "against='a'\nat_mots=1", "unknown key; did you mean 'at_most'?"),
        ("thresholds", "not valid TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_thresholds([write(tmp_path, text)])


def test_every_wrong_key_is_said_at_once(tmp_path: Path) -> None:
    text = "[[thresholds]]\nclaim='c'\nkernel='csr'\nagainst='a'\nat_least='x'\n[[thresholds]]\nclaim='d'\nat_most=1\n"
    with pytest.raises(InputError) as error:
        read_thresholds([write(tmp_path, text)])
    assert [line.partition(": ")[2].partition(":")[0] for line in str(error.value).splitlines()] == [
        "thresholds[0].at_least",
        "thresholds[1].kernel",
    ]


def test_files_and_suites_are_read(tmp_path: Path) -> None:
    named = read_thresholds(["smoke"])
    assert named and all(threshold.suite == "smoke" for threshold in named)
    path = write(tmp_path, "[[thresholds]]\nclaim='c'\nkernel='csr'\nagainst='a'\nat_least=1\n")
    (own,) = read_thresholds([path])
    assert (own.origin, own.suite, own.table.rivals) == ("t.toml", None, ("a",))
    with pytest.raises(InputError, match="did you mean 'smoke'"):
        read_thresholds(["smke"])


def test_a_run_keeps_its_suites_thresholds() -> None:
    text = (
        "title='old'\nproblems='of an older schema'\n[[thresholds]]\nclaim='c'\nkernel='k'\nagainst='a'\nat_least=1\n"
    )
    (found,) = of_suites({"s": text, "t": "title='none'"})
    assert (found.origin, found.suite) == ("suite s", "s")
    with pytest.raises(InputError, match="no thresholds in 't': give --thresholds"):
        of_suites({"t": "title='none'"})
    with pytest.raises(InputError, match="run of single problems"):
        of_suites({})
    with pytest.raises(InputError, match=r"suite 's'.*not valid TOML"):
        of_suites({"s": "["})


# -- verdicts


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({"at_least": 3.8}, "holds"),
        ({"at_least": 4.2}, "falls short"),
        ({"at_least": 4.0}, "undecided"),
        ({"at_most": 4.2}, "holds"),
        ({"at_most": 3.8}, "falls short"),
        ({"at_most": 4.0}, "undecided"),
        ({"at_least": 3.8, "at_most": 4.2}, "holds"),
        ({"at_least": 3.8, "at_most": 3.9}, "falls short"),
        ({"at_least": 3.8, "at_most": 4.0}, "undecided"),
    ],
)
@pytest.mark.parametrize("statistic", ["geomean", "median"])
def test_verdicts_on_a_ratio_of_four(limits: dict[str, float], verdict: str, statistic: str) -> None:
    outcome = judge(statistic=statistic, **limits)
    assert outcome.verdict == verdict
    assert outcome.value is not None and outcome.value.estimate == pytest.approx(4, rel=0.02)
    assert len(outcome.cells) == 4


def test_ratios_are_paired_within_rounds() -> None:
    """A round three times as slow for both kernels leaves their ratio, and its interval, as they were."""
    disturbed = [
        replace(case, samples_s=[3 * s if i % 2 else s for i, s in enumerate(case.samples_s)]) for case in CASES
    ]
    assert judge(disturbed, at_least=3.8).value == pytest.approx(judge(at_least=3.8).value)


def test_rounds_of_another_group_are_not_divided() -> None:
    cases = [replace(case, group="other") if case.kernel == "mkl-csr" else case for case in CASES]
    outcome = judge(cases, at_least=3.8)
    assert outcome.verdict == "broken"
    assert "not measured in the same rounds at matmul:" in outcome.notes[0]


def test_the_best_of_a_list_is_found_in_each_cell() -> None:
    # mkl-csr is 4 times as fast as mkl-dense, but in one cell ten times as slow as it was.
    slow = CELLS[0]
    cases = [timed(c, 10) if (c.problem, c.kernel) == (slow, "mkl-csr") else c for c in CASES]
    outcome = judge(cases, against=["scipy-csr", "mkl-csr"], at_least=3.8)
    assert {cell.place.problem: cell.rival for cell in outcome.cells}[slow] == "scipy-csr"
    assert sorted(cell.rival for cell in outcome.cells) == ["mkl-csr"] * 3 + ["scipy-csr"]


def test_the_worst_cell_is_the_one_nearest_to_its_limit() -> None:
    first, last = CELLS[0], CELLS[-1]
    factor = {first: 1.5, last: 0.5}
    cases = [timed(c, factor.get(c.problem, 1)) if c.kernel == "complementary" else c for c in CASES]
    for limits, problem in (
        ({"at_least": 1}, first),
        ({"at_most": 9}, last),
        ({"at_least": 2.6, "at_most": 30}, first),
        ({"at_least": 0.1, "at_most": 8.5}, last),
    ):
        worst = judge(cases, **limits).worst
        assert worst is not None and worst.place.problem == problem
    assert judge(cases, statistic="min", at_least=2.5).verdict == "holds"
    assert judge(cases, statistic="min", at_least=2.9).verdict == "falls short"
    assert judge(cases, statistic="max", at_most=7.5).verdict == "falls short"


def test_roofline_and_rates() -> None:
    cases = [replace(c, roofline_s=c.median_s and c.median_s / 2) for c in CASES]
    for claim in ({"against": "roofline"}, {"against": None, "metric": "roofline_fraction"}):
        outcome = judge(cases, **claim, at_least=0.48, at_most=0.52)
        assert outcome.verdict == "holds" and outcome.cells[0].rival == ""
    (case,) = [c for c in CASES if c.kernel == "complementary" and c.problem.startswith("matmul:512x512x1:comp")]
    for metric in ("items_per_s", "gflops_useful", "gflops_dense", "median_s", "time_per_column_s"):
        value = getattr(case, metric)
        outcome = judge([case], against=None, metric=metric, machine=HERE, at_least=0.9 * value, at_most=1.1 * value)
        assert outcome.verdict == "holds"
        low, estimate, high = outcome.value or (None, 0.0, None)
        assert low is not None and high is not None
        assert estimate == pytest.approx(value)
        assert low < value < high


def test_what_is_timed_once_is_judged_by_its_value() -> None:
    outcome = judge(against=None, metric="prepare_s", machine=HERE, at_most=1.1e-3)
    assert outcome.verdict == "holds" and "timed once a run" in outcome.notes[0]
    assert judge(against=None, metric="prepare_s", machine=HERE, at_most=0.9e-3).verdict == "falls short"
    assert judge(against=None, metric="packed_bytes", at_most=1.0).verdict == "falls short"
    outcome = judge(against=None, metric="kept_l1", at_least=0.5)
    assert outcome.verdict == "broken" and "complementary has no kept_l1 at" in outcome.notes[0]


def test_a_claim_about_another_machine_is_skipped_and_says_so() -> None:
    outcome = judge(against=None, metric="median_s", machine="ffffffffffff", at_most=1.0)
    assert outcome.verdict == "skipped"
    assert outcome.notes == (f"for machine ffffffffffff; this run is of {HERE}",)
    assert exit_code([outcome]) == 5
    assert exit_code([outcome, judge(at_least=3.8)]) == 0


def test_a_suites_claims_are_about_its_own_cases() -> None:
    both = [*CASES, *(timed(replace(c, suite="other", group=f"o {c.group}"), 1) for c in CASES)]
    table = ThresholdTable(**CLAIM, at_least=3.8)
    own, every = evaluate(both, [Threshold(table, "a", "other"), Threshold(table, "b")], HERE)
    assert (len(own.cells), len(every.cells)) == (4, 8)
    (absent,) = evaluate(both, [Threshold(table, "a", "third")], HERE)
    assert absent.verdict == "broken"


# -- what cannot be judged


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"where": "N == 7"}, "it matches no case"),
        ({"kernel": "complementarry"}, "kernel 'complementarry' was not run; did you mean 'complementary'?"),
        ({"against": "mkl-crs"}, "mkl-crs not run at matmul:512x512x1:complementary/8+0.95:f32, 1 thread, v4"),
        ({"where": "pattern == 'block'"}, "no case that it matches can be measured"),
        ({"against": "mkl-bsr"}, "no case that it matches can be measured"),
        ({"where": "N * 2"}, None),
        ({"where": "colour == 2"}, None),
    ],
)
def test_a_threshold_without_a_case_is_never_a_pass(claim: dict[str, Any], says: str | None) -> None:
    if says is None:
        with pytest.raises(InputError, match=r"file.toml, threshold 'c': where 'N \* 2' is not|where 'colour == 2'"):
            judge(**claim, at_least=1)
        return
    outcome = judge(**claim, at_least=0.001)
    assert (outcome.verdict, outcome.value) == ("broken", None)
    assert says in outcome.notes[0]
    assert exit_code([outcome]) == 4


@pytest.mark.parametrize("kernel", ["complementary", "mkl-csr", "scipy-csr"])
@pytest.mark.parametrize(("status", "code"), [("wrong", 3), ("failed", 4), ("timeout", 4), ("mistrusted", 4)])
def test_one_case_without_a_right_answer_breaks_the_claim(kernel: str, status: str, code: int) -> None:
    problem = CELLS[2]
    cases = [spoil(c, status, "why so") if (c.problem, c.kernel) == (problem, kernel) else c for c in CASES]
    outcome = judge(cases, against=["mkl-csr", "scipy-csr"], at_least=0.001)
    assert outcome.verdict == "broken"
    assert outcome.notes == (f"{kernel} {status} at {problem}, 1 thread, v4: why so",)
    assert outcome.broken_at is not None and outcome.broken_at.problem == problem
    assert exit_code([outcome]) == code


def test_an_absent_library_is_named() -> None:
    cases = [spoil(c, "unavailable", "pip install mkl") if c.kernel.startswith("mkl") else c for c in CASES]
    outcome = judge(cases, at_least=1)
    assert (outcome.verdict, outcome.notes) == ("broken", ("mkl-csr is unavailable (pip install mkl)",))
    outcome = judge(cases, against=["mkl-csr", "scipy-csr"], at_least=1)
    assert (outcome.verdict, outcome.notes) == ("holds", ("mkl-csr is unavailable (pip install mkl)",))
    assert {cell.rival for cell in outcome.cells} == {"scipy-csr"}
    outcome = judge(cases, kernel="mkl-csr", against="csr", at_least=1)
    assert outcome.verdict == "broken" and "mkl-csr unavailable at" in outcome.notes[0]


def test_cells_that_a_rival_does_not_take_are_left_out_and_counted() -> None:
    outcome = judge(kernel="csr", against="mkl-bsr", where="", at_least=1)
    assert outcome.verdict == "holds" and len(outcome.cells) == 4
    assert outcome.notes == ("8 cases left out: mkl-bsr does not take the problem",)


def test_exit_codes_by_gravity() -> None:
    holds, short, undecided = judge(at_least=3.8), judge(at_least=5), judge(at_least=4.0)
    broken = judge(at_least=1, where="N == 7")
    wrong = replace(broken, wrong=True)
    skipped = judge(against=None, metric="median_s", machine="ffffffffffff", at_most=1.0)
    assert [exit_code([holds, o]) for o in (holds, undecided, skipped, short, broken, wrong)] == [0, 0, 0, 1, 4, 3]
    assert exit_code([undecided], strict=True) == 5
    assert exit_code([undecided, short], strict=True) == 1
    assert exit_code([short, broken]) == 4
    assert exit_code([broken, wrong, short]) == 3
    very = judge(at_least=50)
    assert sorted([holds, undecided, short, very, broken, wrong], key=severity) == [
        wrong, broken, very, short, undecided, holds,
    ]  # fmt: skip


# -- measured several times


def test_rounds_of_several_measurements_are_pooled_pair_by_pair() -> None:
    again = [replace(c, group=f"again {c.group}") for c in CASES if c.kernel in ("complementary", "mkl-csr")]
    once, twice = judge(at_least=3.8), judge([*CASES, *again], at_least=3.8)
    assert len(twice.cells) == 4
    problem = twice.cells[0].place.problem
    own, base = (
        [s for c in [*CASES, *again] if (c.problem, c.kernel) == (problem, kernel) for s in c.samples_s]
        for kernel in ("complementary", "mkl-csr")
    )
    assert twice.cells[0].at(0.95) == ratio_interval(base, own)
    assert len(own) == 30
    widths = [outcome.value.high - outcome.value.low for outcome in (once, twice) if outcome.value]
    assert widths[1] < widths[0]


def test_a_wrong_answer_the_second_time_counts() -> None:
    again = spoil(replace(CASES[-1], group="again"), "wrong", "off")
    assert again.kernel == "complementary"
    assert judge([*CASES, again], at_least=3.8).wrong


def test_more_looks_are_each_more_careful() -> None:
    one, three = judge(at_least=3.8).value, judge(at_least=3.8, looks=3).value
    assert one is not None and three is not None
    assert three.low < one.low and one.high < three.high
    careful = judge(at_least=3.8, confidence=1 - 0.05 / 3).value
    assert careful == three


def test_only_cells_that_can_decide_are_unsettled() -> None:
    limit = {"statistic": "min", "at_least": 4.0}
    factor = dict.fromkeys(CELLS[:2], 0.5)
    cases = [timed(c, factor.get(c.problem, 1)) if c.kernel == "complementary" else c for c in CASES]
    outcome = judge(cases, **limit)
    assert outcome.verdict == "undecided"
    assert {cell.place.problem for cell in unsettled(outcome, 1)} == set(CELLS[2:])
    mean = judge(cases, at_least=5.66)
    assert mean.verdict == "undecided" and len(unsettled(mean, 1)) == 4


def test_too_few_rounds_claim_nothing() -> None:
    cases = [replace(c, samples_s=c.samples_s[:2]) for c in CASES]
    outcome = judge(cases, at_least=1)
    assert outcome.verdict == "undecided"
    assert "so few rounds" in outcome.notes[0]


def test_false_alarms_are_as_rare_as_the_confidence_says() -> None:
    """With the truth at the limit, a claim about 6 cells is seldom said to hold or to fall short."""
    rng = np.random.default_rng(1)
    table = ThresholdTable(claim="c", kernel="complementary", against="mkl-csr", statistic="min", at_least=3.0)
    problems = [f"matmul:64x64x{n}:complementary/8+0.95:f32" for n in range(1, 7)]
    pair = [make_case(problem, kernel, 1) for problem in problems for kernel in ("mkl-csr", "complementary")]
    found = []
    for _ in range(150):
        cases = [
            replace(c, samples_s=list((3e-6 if c.kernel == "mkl-csr" else 1e-6) * rng.lognormal(0, 0.02, 11)))
            for c in pair
        ]
        found.append(evaluate(cases, [Threshold(table, "f")], HERE)[0].verdict)
    assert found.count("falls short") <= 0.07 * len(found)
    assert found.count("holds") <= 0.07 * len(found)
