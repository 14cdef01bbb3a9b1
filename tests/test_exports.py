"""Formats that trackers of other projects read."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from runs import make_run
from test_report import make_case, make_cases, spoil, to_frame
from typer.testing import CliRunner

from sparsebench.cli.app import app
from sparsebench.errors import InputError
from sparsebench.report import renderer
from sparsebench.report.metrics import METRICS

PROBLEM = "matmul:512x512x64:complementary/8+0.95:f32"
NAME = f"smoke/complementary {PROBLEM} T=1 v4"


def rendered(frame: pd.DataFrame, form: str, **options: Any) -> Any:
    stream = io.StringIO()
    renderer(form)(frame, stream, **options)
    return json.loads(stream.getvalue())


def two_cases() -> pd.DataFrame:
    cases = [make_case(PROBLEM, kernel, 1) for kernel in ("mkl-dense", "complementary")]
    return to_frame([replace(case, suite="smoke", level="v4") for case in cases])


def test_github_action_benchmark() -> None:
    (entry,) = rendered(two_cases(), "github-action-benchmark")
    assert set(entry) == {"name", "unit", "value", "range", "extra"}
    assert entry["name"] == NAME
    assert entry["unit"] == "x"
    assert entry["value"] == pytest.approx(16, rel=0.05)
    low, high = map(float, entry["range"].split(" to "))
    assert low < entry["value"] < high
    assert "baseline: mkl-dense" in entry["extra"]


def test_bencher() -> None:
    frame = two_cases()
    found = rendered(frame, "bencher", metric="median")
    assert list(found) == [NAME.replace("complementary ", "mkl-dense "), NAME]
    (measure,) = found[NAME].items()
    assert measure[0] == "latency"
    row = frame.iloc[1]
    assert measure[1] == {
        "value": pytest.approx(1e9 * row["median_s"]),
        "lower_value": pytest.approx(1e9 * row["ci_low_s"]),
        "upper_value": pytest.approx(1e9 * row["ci_high_s"]),
    }


def test_a_rate_is_the_larger_the_smaller_the_time() -> None:
    frame = two_cases()
    metric = rendered(frame, "bencher", metric="gflops_useful")[NAME]["gflops-useful"]
    row = frame.iloc[1]
    assert metric["value"] == pytest.approx(row["gflops_useful"])
    assert metric["lower_value"] == pytest.approx(row["gflops_useful"] * row["median_s"] / row["ci_high_s"])
    assert metric["upper_value"] > metric["value"]
    assert rendered(frame, "bencher", metric="bytes")[NAME] == {"bytes": {"value": 512 * 512}}


@pytest.mark.parametrize("form", ["github-action-benchmark", "bencher"])
@pytest.mark.parametrize("metric", METRICS)
def test_names_are_of_one_case_each(form: str, metric: str) -> None:
    frame = to_frame(list(make_cases()))
    if frame[METRICS[metric].column].isna().all():
        frame[METRICS[metric].column] = 1.0
    found = rendered(frame, form, metric=metric)
    names = [entry["name"] for entry in found] if isinstance(found, list) else list(found)
    ok = frame[(frame["status"] == "ok")]
    expected = ok[ok["kernel"] != ok["baseline"]] if metric == "speedup" else ok
    assert len(set(names)) == len(names) == len(expected)
    # What Bencher allows.
    assert max(map(len, names)) < 1024


@pytest.mark.parametrize("form", ["github-action-benchmark", "bencher"])
def test_what_failed_is_no_point(form: str) -> None:
    good, bad = (make_case(PROBLEM, kernel, 1) for kernel in ("complementary", "csr"))
    assert len(rendered(to_frame([good, spoil(bad, "wrong", "no")]), form, metric="median")) == 1
    with pytest.raises(InputError, match="no case has a value of 'median_s'"):
        rendered(to_frame([spoil(bad, "failed", "no")]), form, metric="median")


def test_mistakes_of_a_user(tmp_path: Path) -> None:
    runs = [str(make_run(tmp_path / name, list(make_cases())).path) for name in "ab"]
    for arguments, says in (
        ([*runs], "is of one run"),
        ([runs[0], "--by", "N"], "--by is not for"),
        ([runs[0], "--break-even"], "--break-even is for"),
    ):
        result = CliRunner().invoke(app, ["report", *arguments, "--format", "bencher"])
        assert isinstance(result.exception, InputError)
        assert says in str(result.exception)
    output = tmp_path / "out.json"
    command = ["report", runs[0], "--format", "github-action-benchmark", "-o", str(output)]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert json.loads(output.read_text())
