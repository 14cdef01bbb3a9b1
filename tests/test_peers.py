"""The best rival against ours: who is compared, tables, CSV and chart."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from runs import make_run
from test_report import make_case, make_cases
from typer.testing import CliRunner

from sparsebench.cli.app import app
from sparsebench.errors import InputError
from sparsebench.report import charts, peers_table, tables_renderer
from sparsebench.report.charts.style import BEST_DENSE, BEST_OURS, BEST_SPARSE
from sparsebench.report.kernel_kinds import is_dense, is_peer
from sparsebench.report.loaded import load
from sparsebench.report.peers import Contest, find, require
from sparsebench.results import CaseResult

PROBLEM = "matmul:512x512x64:complementary/8+0.95:f32"
# Milliseconds of a call.
TIMES = {
    "mkl-dense": 4.0, "numpy-dense": 2.0, "mkl-csr": 1.0, "scipy-csr": 1.5, "dense": 3.0, "csr": 0.5,
    "complementary": 0.1,
}  # fmt: skip


def case(kernel: str, ms: float, problem: str = PROBLEM) -> CaseResult:
    samples = [1e-3 * ms * (1 + 0.01 * (round_ % 3 - 1)) for round_ in range(15)]
    provider = kernel.partition("-")[0] if "-" in kernel else "sparsebench"
    made = replace(make_case(problem, "csr", 1), kernel=kernel, provider=provider)
    return replace(made, status="ok", error="", samples_s=samples, median_s=1e-3 * ms)


def found(cases: Iterable[CaseResult], folder: Path) -> list[Contest]:
    return find(load([make_run(folder / "run", list(cases))]))


def test_the_fastest_of_each_kind_is_compared(tmp_path: Path) -> None:
    (contest,) = found((case(kernel, ms) for kernel, ms in TIMES.items()), tmp_path)
    assert contest.sparse is not None
    assert (contest.dense.kernel, contest.sparse.kernel, contest.ours.kernel) == (
        "numpy-dense",
        "mkl-csr",
        "complementary",
    )
    assert contest.dense.speedup.estimate == 1
    assert contest.sparse.speedup.estimate == pytest.approx(2)
    assert contest.ours.speedup.estimate == pytest.approx(20)
    assert contest.over_sparse == pytest.approx(10)


@pytest.mark.parametrize("name", ["torch-bf16", "openvino-net-dense"])
def test_other_numbers_and_other_weights_are_no_rival(name: str, tmp_path: Path) -> None:
    (contest,) = found([*(case(kernel, ms) for kernel, ms in TIMES.items()), case(name, 1e-3)], tmp_path)
    assert contest.dense.kernel == "numpy-dense"
    assert contest.sparse is not None
    assert contest.sparse.kernel == "mkl-csr"


def test_our_dense_network_is_ours_and_an_engines_is_dense() -> None:
    assert is_peer("net-dense")
    assert is_peer("net-sparse-dense")
    assert is_peer("onnxruntime-net")
    assert not is_peer("onnxruntime-net-dense")
    assert all(is_dense(name) for name in ("onnxruntime-net", "openvino-conv", "onednn-conv", "torch-compile"))
    assert not any(is_dense(name) for name in ("openvino-sparse-net", "openvino-sparse-conv", "net-sparse-dense"))


def test_without_a_sparse_rival_dense_and_ours_are_left(tmp_path: Path) -> None:
    (contest,) = found((case(kernel, TIMES[kernel]) for kernel in ("mkl-dense", "complementary")), tmp_path)
    assert contest.sparse is None
    assert contest.over_sparse is None
    (table,) = peers_table.tables([contest])
    assert [cell.text for cell in table.rows[0].cells] == ["4.00 ms", "", "40.0"]
    stream = io.StringIO()
    peers_table.write_csv([contest], stream)
    (line,) = csv.DictReader(io.StringIO(stream.getvalue()))
    assert (line["sparse_rival"], line["over_sparse"], float(line["over_dense"])) == ("", "", pytest.approx(40))


@pytest.mark.parametrize("without", [{"mkl-dense", "numpy-dense"}, {"complementary", "csr"}])
def test_without_a_dense_rival_or_ours_there_is_no_contest(without: set[str], tmp_path: Path) -> None:
    nothing = found((case(kernel, ms) for kernel, ms in TIMES.items() if kernel not in without), tmp_path)
    assert nothing == []
    with pytest.raises(InputError, match="sparsebench run peers"):
        require(nothing)


def test_a_wrong_answer_is_no_rival(tmp_path: Path) -> None:
    cases = [case(kernel, ms) for kernel, ms in TIMES.items()]
    cases = [replace(c, status="wrong") if c.kernel == "numpy-dense" else c for c in cases]
    (contest,) = found(cases, tmp_path)
    assert contest.dense.kernel == "mkl-dense"


def test_tables_say_means_and_what_is_absent(tmp_path: Path) -> None:
    other = PROBLEM.replace("512x512x64", "256x512x64")
    cases = [case(kernel, ms, problem) for problem in (PROBLEM, other) for kernel, ms in TIMES.items()]
    absent = replace(case("torch-dense", 1), status="unavailable", error="PyTorch is not installed: pip install torch")
    folder = make_run(tmp_path / "run", [*cases, replace(absent, samples_s=[], median_s=None)])
    done = CliRunner().invoke(app, ["report", str(folder.path), "--peers", "--format", "markdown"])
    assert done.exit_code == 0
    assert "ours: 20.0 over the best dense rival, 10.0 over the best sparse rival (geometric mean of 2)" in done.output
    assert "unavailable: torch-dense: PyTorch is not installed: pip install torch" in done.output


def test_options_that_do_not_go_together(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", [case(kernel, ms) for kernel, ms in TIMES.items()])
    for more, says in (("--break-even", "one of them"), ("--format=html", "--peers is for --format console")):
        done = CliRunner().invoke(app, ["report", str(folder.path), "--peers", more])
        assert isinstance(done.exception, InputError)
        assert says in str(done.exception)


def test_console_tables_fit_a_narrow_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    tables_renderer("console")(
        peers_table.tables(found((case(kernel, ms) for kernel, ms in TIMES.items()), tmp_path)), stream
    )
    assert max(map(len, stream.getvalue().splitlines())) <= 80


def test_the_chart_has_three_marks_a_problem(tmp_path: Path) -> None:
    other = PROBLEM.replace("512x512x64", "256x512x64")
    cases = [case(kernel, ms, problem) for problem in (PROBLEM, other) for kernel, ms in TIMES.items()]
    (chart,) = charts.make(load([make_run(tmp_path / "run", cases)]), ["peers"])
    (panel,) = chart.panels
    assert panel.title == "matmul, complementary/8, 95%"
    assert panel.y is not None
    assert len(panel.y.rows) == 2
    values = {series.kernel: [point.x for point in series.points] for series in panel.series}
    assert values == {
        BEST_DENSE: pytest.approx([1, 1]),
        BEST_SPARSE: pytest.approx([2, 2]),
        BEST_OURS: pytest.approx([20, 20]),
    }
    assert "our best complementary, 100 us, 20x" in panel.series[-1].points[0].tip


def test_many_problems_are_merged_by_shape(tmp_path: Path) -> None:
    cases = make_cases(shapes=[(512, 512), (768, 256)], sizes=range(1, 33))
    (chart,) = charts.make(load([make_run(tmp_path / "run", list(cases))]), ["peers"])
    panel = next(panel for panel in chart.panels if "complementary" in panel.title)
    assert panel.y is not None
    assert panel.y.rows == ("512x512", "768x256")
    assert "geometric mean of 32" in panel.series[0].points[0].tip
