"""Verdicts as text: every format, and what its reader does with odd characters and too many claims."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_report import make_cases, spoil

from sparsebench.errors import InputError
from sparsebench.report import repro
from sparsebench.report.thresholds import evaluate
from sparsebench.report.verdicts import FORMATS, github, renderer
from sparsebench.report.verdicts.lines import Checked, lines, summary
from sparsebench.suite.thresholds import Threshold, ThresholdTable

HERE = "0123456789ab"
CASES = list(make_cases(suffix=";seed=3"))
NASTY = '50%, a|b: <c> & "d" *e*\nnext'
WORST = "matmul:512x512x1:complementary/8+0.95:f32;seed=3"


def threshold(limit: float, claim: str = "c", **more: Any) -> Threshold:
    table = {"claim": claim, "kernel": "complementary", "against": "mkl-csr", "at_least": limit, **more}
    return Threshold(ThresholdTable(**table), "t.toml")


def make(*thresholds: Threshold, strict: bool = False, **settings: Any) -> Checked:
    return Checked("a run", HERE, tuple(evaluate(CASES, thresholds, HERE)), settings, strict=strict)


ALL = (
    threshold(3.0, "it holds"),
    threshold(5.0, NASTY),
    threshold(4.0, "undecided"),
    threshold(1.0, "broken", where="N == 9"),
    threshold(1.0, "elsewhere", against=None, metric="median_s", machine="ffffffffffff"),
)


def text(form: str, checked: Checked) -> str:
    stream = io.StringIO()
    renderer(form)(checked, stream)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def _no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(github.VARIABLE, raising=False)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_every_claim_and_verdict(form: str) -> None:
    said = text(form, make(*ALL))
    for word in ("it holds", "undecided", "broken", "elsewhere", "holds", "falls short", "skipped"):
        assert word in said, word


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError, match="'yaml' is not known; known: console, markdown, junit, github, json"):
        renderer("yaml")


def test_lines_say_value_interval_limit_and_worst_cell() -> None:
    (line,) = lines(make(threshold(3.5, at_most=9)))
    assert line.limit == ">= 3.5x, <= 9x"
    assert line.measured.endswith("x") and float(line.measured[:-1]) == pytest.approx(4, rel=0.05)
    assert " to " in line.interval
    assert line.made_of == "geomean of 4 cases"
    assert ";seed=3, 1 thread, v4, over mkl-csr" in line.worst
    (line,) = lines(make(threshold(1.0, against=None, metric="median_s", machine=HERE)))
    assert line.limit == ">= 1.00 s" and line.measured.endswith("us")
    assert line.repro.count("--kernels complementary ") == 1


def test_the_command_can_be_pasted_into_a_shell() -> None:
    (line,) = lines(make(threshold(3.5, statistic="min"), data="/my data", tune=True))
    words = shlex.split(line.repro)
    assert words[:3] == ["sparsebench", "run", "--problem"]
    assert words[3].endswith(";seed=3")
    assert words[4:] == [
        *("--kernels", "complementary,mkl-csr", "--threads", "1", "--isa", "v4"),
        *("--data", "/my data", "--tune"),
    ]
    assert repro.command({}, "p", ["k"], 2, "") == "sparsebench run --problem p --kernels k --threads 2"


def test_what_broke_a_claim_can_be_run_again() -> None:
    spoilt = [spoil(c, "wrong", "off") if (c.problem, c.kernel) == (WORST, "complementary") else c for c in CASES]
    checked = Checked("r", HERE, tuple(evaluate(spoilt, [threshold(1.0)], HERE)))
    (line,) = lines(checked)
    assert shlex.split(line.repro)[3] == WORST
    assert checked.exit_code == 3


def test_long_lists_of_troubles_are_cut() -> None:
    (line,) = lines(make(threshold(1.0, against="absent")))
    assert len(line.notes) == 4 and line.notes[-1] == "and 1 more like these"


def test_summary_counts() -> None:
    assert summary(make(*ALL)) == "5 thresholds: 1 is broken, 1 falls short, 1 is undecided, 1 holds, 1 is skipped"
    assert summary(make(ALL[0])) == "1 threshold: 1 holds"
    assert summary(make(ALL[0], ALL[0])) == "2 thresholds: 2 hold"


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_console_fits_but_for_commands(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = text("console", make(*ALL))
    for line in said.splitlines():
        assert len(line.rstrip()) <= width or "sparsebench run --problem" in line
    assert "\x1b" not in said


def test_markdown_tables_survive_odd_claims() -> None:
    rows = [line for line in text("markdown", make(*ALL)).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(ALL)
    assert {row.replace("\\|", "").count("|") for row in rows} == {7}


def test_junit_tells_failures_errors_and_skips_apart() -> None:
    root = ElementTree.fromstring(text("junit", make(*ALL)))
    suite = root.find("testsuite")
    assert suite is not None
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "1", "skipped": "2",
    }  # fmt: skip
    kinds = [[child.tag for child in case if child.tag != "system-out"] for case in suite]
    assert kinds == [[], ["failure"], ["skipped"], ["error"], ["skipped"]]
    assert suite[1].get("name") == " ".join(NASTY.split())
    strict = ElementTree.fromstring(text("junit", make(*ALL, strict=True)))
    assert strict.find("testsuite/testcase[3]/failure") is not None


@given(st.text(min_size=1, max_size=30))
def test_junit_is_well_formed_whatever_the_claim(claim: str) -> None:
    checked = Checked("r", HERE, tuple(evaluate(CASES[:10], [threshold(1.0, claim)], HERE)))
    ElementTree.fromstring(text("junit", checked).encode("utf-8", "replace"))


def test_json_is_complete() -> None:
    found = json.loads(text("json", make(*ALL)))
    assert (found["run"], found["machine"], found["exit_code"]) == ("a run", HERE, 4)
    holds, short, _, broken, skipped = found["thresholds"]
    assert holds["verdict"] == "holds" and short["claim"] == NASTY
    assert holds["measured"]["low"] < holds["measured"]["estimate"] < holds["measured"]["high"]
    assert holds["worst"]["rival"] == "mkl-csr" and holds["worst"]["repro"].startswith("sparsebench run")
    assert broken["measured"] is skipped["measured"] is broken["worst"] is None
    assert broken["notes"] == ["it matches no case"]


def annotations(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("::")]


def test_annotations_are_escaped_and_the_worst_come_first() -> None:
    found = annotations(text("github", make(*ALL)))
    assert [line.partition(" ")[0] for line in found] == ["::error", "::error", "::warning"]
    assert found[0].startswith("::error title=broken::broken: it matches no case")
    assert 'title=50%25%2C a|b%3A <c> & "d" *e* next::falls short' in found[1]
    assert "%0Asparsebench run --problem" in found[1]
    strict = annotations(text("github", make(*ALL, strict=True)))
    assert [line.partition(" ")[0] for line in strict] == ["::error"] * 3


def test_at_most_ten_annotations() -> None:
    found = annotations(text("github", make(*(threshold(limit, f"{limit}") for limit in range(4, 40)))))
    assert len(found) == 10
    assert found[0].startswith("::error title=39::") and found[9].startswith("::error title=30::")


def test_the_step_summary_is_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setenv(github.VARIABLE, str(path))
    text("github", make(*ALL))
    said = path.read_text()
    assert said.startswith("before\n### sparsebench check: 5 thresholds")
    monkeypatch.setenv(github.VARIABLE, str(tmp_path / "absent" / "summary.md"))
    with pytest.raises(InputError, match="GITHUB_STEP_SUMMARY names"):
        text("github", make(*ALL))


@pytest.mark.parametrize("taken", [0, 900_000, github.SUMMARY_BYTES - 10])
def test_the_step_summary_stays_below_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    path = tmp_path / "summary.md"
    path.write_text("x" * taken)
    monkeypatch.setenv(github.VARIABLE, str(path))
    text("github", make(*(threshold(9.0, f"{number} {'long ' * 2000}") for number in range(100))))
    assert path.stat().st_size < github.SUMMARY_BYTES
    said = path.read_text()[taken:]
    assert ("more claims are not shown" in said) == (taken < github.SUMMARY_BYTES - 10)
