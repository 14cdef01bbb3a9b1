from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sparsebench.errors import InputError
from sparsebench.report import metrics, plot


def frame() -> pd.DataFrame:
    rows = [
        {
            "suite": "s", "problem": f"matmul:8x8x{N}:{pattern}+0.5:f32", "pattern": pattern, "kernel": kernel,
            "status": "ok", "M": 8, "K": 8, "N": N, "median_s": 1e-6 * N * scale, "baseline": "mkl-dense",
        }
        for N in (1, 2, 4)
        for kernel, pattern, scale in (("csr", "unstructured", 1), ("block", "block/4x4", 2), ("csr", "block/4x4", 3))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_baseline_is_one_line() -> None:
    found = plot.lines(frame().assign(baseline="csr"), metrics.find("median"), "N")
    assert list(found) == ["csr", "block, block/4x4"]


def test_a_line_for_each_kernel_and_pattern() -> None:
    found = plot.lines(frame(), metrics.find("median"), "N")
    assert list(found) == ["csr, unstructured", "block, block/4x4", "csr, block/4x4"]
    assert found["block, block/4x4"].to_dict() == pytest.approx({1: 2e-6, 2: 4e-6, 4: 8e-6})


def test_cases_of_one_point_are_merged() -> None:
    twice = pd.concat([frame(), frame().assign(median_s=lambda f: 4 * f["median_s"])])
    found = plot.lines(twice, metrics.find("median"), "N")
    assert found["csr, unstructured"][1] == pytest.approx(2e-6)


@pytest.mark.parametrize("suffix", plot.SUFFIXES)
def test_a_chart_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"chart{suffix}"
    plot.draw(frame(), metrics.find("median"), "N", path)
    assert path.stat().st_size > 5000


def test_the_chart_names_its_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "none")
    plot.draw(frame(), metrics.find("median"), "N", tmp_path / "chart.svg")
    text = (tmp_path / "chart.svg").read_text()
    for word in ("csr, unstructured", "block, block/4x4", "s: 8 x 8", "median time per call", "N"):
        assert word in text


def test_bad_input_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'kernel' is not a column of numbers"):
        plot.lines(frame(), metrics.find("median"), "kernel")
    with pytest.raises(InputError, match="no case has a value"):
        plot.lines(frame().assign(status="failed"), metrics.find("median"), "N")
    with pytest.raises(InputError, match=r"ends in \.svg, \.png, \.pdf"):
        plot.draw(frame(), metrics.find("median"), "N", tmp_path / "chart.txt")
    with pytest.raises(InputError, match="cannot write"):
        plot.draw(frame(), metrics.find("median"), "N", tmp_path / "no" / "chart.svg")
