from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from test_results import MEASURED
from typer.testing import CliRunner

from sparsebench.bench.stats import geomean, median_interval
from sparsebench.cli.report import report
from sparsebench.errors import InputError
from sparsebench.report import FORMATS, console, renderer
from sparsebench.report.cells import Cell, Row, Table, mark_best
from sparsebench.report.csv import write as write_csv
from sparsebench.report.frame import combine, select
from sparsebench.report.markdown import write as write_markdown
from sparsebench.report.metrics import METRICS, duration, number, size, spread
from sparsebench.report.notes import general, sources
from sparsebench.report.table import make_tables
from sparsebench.results import COLUMNS, CaseResult
from sparsebench.run_folder import RESULTS, RunFolder, derive_rows

# Speed-ups over mkl-dense; which patterns a kernel takes.
SPEED = {
    "mkl-dense": 1.0,
    "mkl-csr": 4.0,
    "mkl-bsr": 6.0,
    "numpy-dense": 2.0,
    "scipy-csr": 1.25,
    "scipy-bsr": 0.8,
    "dense": 1.1,
    "csr": 8.0,
    "block": 11.0,
    "complementary": 16.0,
}
ONLY = {"block": "block", "mkl-bsr": "block", "scipy-bsr": "block", "complementary": "complementary"}
SHAPES = ((512, 512), (3072, 768), (14336, 4096))
LABELS = ("unstructured", "block/4x4", "complementary/8")


def make_case(problem: str, kernel: str, threads: int, baseline: str = "mkl-dense", **changes: Any) -> CaseResult:
    """One case with a time from `SPEED`, or unsupported."""
    M, K, N = (int(part) for part in problem.split(":")[1].split("x"))
    label = problem.split(":")[2].partition("+")[0]
    pattern = label.partition("/")[0]
    supported = ONLY.get(kernel, pattern) == pattern
    rounds = np.random.default_rng(zlib.crc32(f"{problem}{kernel}".encode())).lognormal(0, 0.02, 15)
    samples = list(2e-11 * M * K * N / threads / SPEED[kernel] * rounds)
    interval = median_interval(samples)
    case = replace(
        MEASURED,
        problem=problem,
        pattern=pattern,
        lanes=8 if label == "complementary/8" else None,
        block="4x4" if label == "block/4x4" else None,
        M=M,
        K=K,
        N=N,
        nnz=M * K // 20,
        kernel=kernel,
        provider=kernel.partition("-")[0] if "-" in kernel else "sparsebench",
        timed_in="python" if kernel.startswith(("numpy", "scipy")) else "native",
        threads=threads,
        group=f"{problem} {threads}",
        baseline=baseline,
        status="ok" if supported else "unsupported",
        error="" if supported else f"needs pattern '{ONLY[kernel]}'",
        median_s=interval.estimate if supported else None,
        ci_low_s=interval.low if supported else None,
        ci_high_s=interval.high if supported else None,
        samples_s=samples if supported else [],
        prepare_s=1e-3 if supported else None,
        packed_bytes=M * K if supported else None,
        max_rel_error=3e-7 if supported else None,
    )
    return replace(case, **changes)


def make_cases(
    shapes: Sequence[tuple[int, int]] = ((512, 512), (3072, 768)),
    sizes: Sequence[int] = (1, 64),
    labels: Sequence[str] = LABELS,
    threads: Sequence[int] = (1,),
    suffix: str = "",
) -> Iterator[CaseResult]:
    for count, label, (M, K), N, kernel in product(threads, labels, shapes, sizes, SPEED):
        yield make_case(f"matmul:{M}x{K}x{N}:{label}+0.95:f32{suffix}", kernel, count)


def to_frame(cases: Sequence[CaseResult]) -> pd.DataFrame:
    return pd.DataFrame(derive_rows(cases), columns=list(COLUMNS))


def spoil(case: CaseResult, status: str, error: str) -> CaseResult:
    return replace(case, status=status, error=error, median_s=None, samples_s=[])


def spoilt(kernel: str, status: str, error: str = "because") -> pd.DataFrame:
    """Results in which a kernel ends so on the first problem of the complementary pattern."""
    cases = list(make_cases(labels=["complementary/8"]))
    first = next(i for i, case in enumerate(cases) if case.kernel == kernel)
    cases[first] = spoil(cases[first], status, error)
    return to_frame(cases)


def cell(table: Table, row: int, kernel: str) -> Cell:
    return table.rows[row].cells[table.columns.index(kernel)]


def printed(frame: pd.DataFrame, width: int, **options: Any) -> str:
    stream = io.StringIO()
    console.render(make_tables(frame, **options), Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123, "0.012"),
        (0.984, "0.98"),
        (1.234, "1.23"),
        (9.999, "10.0"),
        (12.34, "12.3"),
        (99.96, "100"),
        (5432, "5432"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_units() -> None:
    assert [duration(s) for s in (5e-9, 61.2e-6, 999.9e-6, 0.25, 90)] == [
        "5.00 ns",
        "61.2 us",
        "1.00 ms",
        "250 ms",
        "90.0 s",
    ]
    assert [size(n) for n in (10, 2048, 3 << 20, 5 << 30)] == ["10.0 B", "2.00 KiB", "3.00 MiB", "5.00 GiB"]


def test_spread_is_rounded_up() -> None:
    assert spread({"v": 100.0, "l": 97.9, "h": 102.0}, "v", "l", "h") == "±3%"
    assert spread({"v": 1.0, "l": 1.0, "h": 1.0}, "v", "l", "h") == "±1%"
    assert spread({"v": 1.0, "l": None, "h": None}, "v", "l", "h") == "±?"


def test_best_is_marked_unless_all_are_equal() -> None:
    cells = [Cell("a"), Cell("b"), Cell("c")]
    assert [c.best for c in mark_best(cells, [1.0, None, 3.0], "max")] == [False, False, True]
    assert [c.best for c in mark_best(cells, [1.0, 1.0, 3.0], "min")] == [True, True, False]
    assert not any(c.best for c in mark_best(cells, [2.0, 2.0, 2.0], "max"))
    assert not any(c.best for c in mark_best(cells, [None, None, None], "max"))


def test_a_table_per_pattern_and_thread_count_then_summaries() -> None:
    titles = [table.title for table in make_tables(to_frame([*make_cases(threads=(1, 2))]))]
    assert titles == [
        *(f"smoke, matmul {label}, 95% sparse, 1 thread, v4" for label in LABELS),
        *(f"smoke, matmul {label}, 95% sparse, 2 threads, v4" for label in LABELS),
        "smoke, summary, 1 thread, v4",
        "smoke, summary, 2 threads, v4",
    ]


def test_rows_are_problems_and_columns_the_kernels_that_ran() -> None:
    table = make_tables(to_frame([*make_cases()]))[2]
    assert table.columns == ("mkl-dense", "dense", "csr", "complementary", "mkl-csr", "numpy-dense", "scipy-csr")
    assert table.labels == ("M x K", "N")
    assert [row.labels for row in table.rows] == [
        ("512x512", "1"),
        ("512x512", "64"),
        ("3072x768", "1"),
        ("3072x768", "64"),
    ]


def test_cells_are_speedups_and_the_baselines_are_times() -> None:
    frame = to_frame([*make_cases()])
    table = make_tables(frame)[2]
    chosen = frame[(frame["pattern"] == "complementary") & (frame["N"] == 64) & (frame["M"] == 512)]
    exact = chosen.set_index("kernel").loc["complementary"]
    shown = cell(table, 1, "complementary")
    assert shown.text == number(exact["speedup"])
    assert shown.detail == spread(exact, "speedup", "speedup_ci_low", "speedup_ci_high")
    baseline = cell(table, 1, "mkl-dense")
    assert baseline.kind == "absolute"
    assert baseline.text == duration(chosen.set_index("kernel").loc["mkl-dense", "median_s"])


def test_the_best_of_each_row_is_marked() -> None:
    for table, best in zip(make_tables(to_frame([*make_cases()])), ("csr", "block", "complementary"), strict=False):
        for row in table.rows:
            assert [name for name, c in zip(table.columns, row.cells, strict=True) if c.best] == [best]


def test_what_computes_in_bfloat16_is_shown_but_never_the_best() -> None:
    named = [replace(c, kernel="torch-bf16") if c.kernel == "complementary" else c for c in make_cases()]
    tables = [table for table in make_tables(to_frame(named)) if "torch-bf16" in table.columns]
    tables += make_tables(to_frame(named), by=["pattern"])
    assert len(tables) == 2
    for table in tables:
        best = {name for row in table.rows for name, c in zip(table.columns, row.cells, strict=True) if c.best}
        assert "torch-bf16" not in best and "csr" in best
        assert any(cell(table, place, "torch-bf16").text for place in range(len(table.rows)))


def test_the_baseline_can_be_the_best() -> None:
    problem = "matmul:64x64x1:unstructured+0.95:f32"
    frame = to_frame(
        [
            make_case(problem, "mkl-dense", 1),
            make_case(problem, "scipy-bsr", 1, status="ok", median_s=1.0, samples_s=[1.0] * 15),
        ]
    )
    (row,) = make_tables(frame)[0].rows
    assert [c.best for c in row.cells] == [True, False]


@pytest.mark.parametrize(
    ("status", "word"), [("wrong", "wrong"), ("failed", "failed"), ("timeout", "timeout"), ("mistrusted", "suspect")]
)
def test_trouble_is_visible_with_its_reason(status: str, word: str) -> None:
    frame = spoilt("csr", status, "the worker died (SIGSEGV)")
    tables = make_tables(frame)
    assert cell(tables[0], 0, "csr") == Cell(word, kind="trouble")
    assert f"{status}: csr at 512x512 N=1: the worker died (SIGSEGV)" in tables[0].notes
    counts = {row.labels[0]: [c.text for c in row.cells[1:]] for row in tables[1].rows}
    assert counts["csr"] == ["3", "1"]
    assert counts["dense"] == ["4", "0"]
    for width in (80, 140):
        text = printed(frame, width)
        assert word in text
        assert "SIGSEGV" in text
        assert f"{word}: " in text


def test_equal_troubles_are_told_once() -> None:
    cases = [spoil(c, "failed", "no luck") if c.kernel == "csr" else c for c in make_cases(labels=["unstructured"])]
    table = make_tables(to_frame(cases))[0]
    assert [note for note in table.notes if "csr" in note] == ["failed: csr at 512x512 N=1 and 3 more: no luck"]
    assert "csr" in table.columns


def test_unavailable_kernels_are_told_once_with_what_installs_them() -> None:
    cases = []
    for case in make_cases(threads=(1, 2)):
        missing = case.kernel.startswith("mkl")
        case = replace(case, baseline="numpy-dense")
        cases.append(spoil(case, "unavailable", "pip install mkl") if missing else case)
    frame = to_frame(cases)
    text = printed(frame, 200)
    assert text.count("unavailable: mkl-dense, mkl-csr, mkl-bsr: pip install mkl") == 1
    table = make_tables(frame)[0]
    assert "mkl-csr" not in table.columns
    assert table.columns[0] == "numpy-dense"
    assert table.subtitle.startswith("speed-up over numpy-dense")


def test_a_row_without_baseline_shows_times() -> None:
    table = make_tables(spoilt("mkl-dense", "failed"))[0]
    assert cell(table, 0, "mkl-dense").text == "failed"
    shown = cell(table, 0, "complementary")
    assert shown.kind == "absolute"
    assert shown.text.endswith("s")
    assert shown.best
    assert cell(table, 1, "complementary").kind == "value"


def test_what_differs_within_a_table_becomes_a_label() -> None:
    cold = to_frame([*make_cases(labels=["unstructured"]), *make_cases(labels=["unstructured"], suffix=";seed=7")])
    table = make_tables(cold)[0]
    assert table.labels == ("M x K", "N", "seed")
    assert [row.labels for row in table.rows][-1] == ("3072x768", "64", "7")
    only = make_tables(to_frame([*make_cases(labels=["unstructured"], suffix=";seed=7")]))[0]
    assert only.title == "smoke, matmul unstructured, 95% sparse, seed 7, 1 thread, v4"


def test_weights_are_numbered_and_told_below() -> None:
    cases = []
    for name in ("layer_0/query", "layer_1/query"):
        address = f"pypi:model==1.0#a/b.onnx!{name}"
        cases += [
            replace(c, weights=address) for c in make_cases(labels=["unstructured"], suffix=f";weights={address}")
        ]
    table = make_tables(to_frame(cases))[0]
    assert table.labels == ("M x K", "N", "W")
    assert {row.labels[2] for row in table.rows} == {"W1", "W2"}
    assert table.notes == ("weights from pypi:model==1.0#a/b.onnx!: W1 layer_0/query, W2 layer_1/query",)
    assert make_tables(to_frame(cases[: len(cases) // 2]))[0].notes == (f"weights: {cases[0].weights}",)


def test_weights_of_several_files_are_told_by_file_and_without_digests() -> None:
    digest = f"@sha256={'0' * 64}"
    several = [
        f"pypi:model==1.0#a.onnx{digest}!q",
        f"pypi:model==1.0#a.onnx{digest}!k",
        f"pypi:other==2.0#b.onnx{digest}!q",
    ]
    assert sources([*several, ""]) == (
        "weights from pypi:model==1.0#a.onnx!: W1 q, W2 k",
        "weights from pypi:other==2.0#b.onnx!: W3 q",
        "weights: W4 random",
    )
    assert sources(several[:1]) == ("weights: pypi:model==1.0#a.onnx!q",)


def test_summary_is_the_geometric_mean_per_pattern() -> None:
    frame = to_frame([*make_cases()])
    summary = make_tables(frame)[3]
    assert summary.columns == (*LABELS, "ok")
    by_name = {row.labels[0]: row.cells for row in summary.rows}
    chosen = frame[(frame["kernel"] == "csr") & (frame["pattern"] == "block")]
    assert by_name["csr"][1].text == number(geomean(chosen["speedup"]))
    assert by_name["csr"][3].text == "12"
    assert by_name["block"][0] == Cell("-", kind="absent")
    assert by_name["block"][1].best
    assert by_name["mkl-dense"][0].text == "1.00"


def test_a_mean_of_fewer_problems_says_so_and_is_never_the_best() -> None:
    summary = make_tables(spoilt("complementary", "failed"))[1]
    by_name = {row.labels[0]: row.cells for row in summary.rows}
    assert by_name["complementary"][0].detail == "3/4"
    assert not any(cells[0].best for cells in by_name.values())
    assert [c.text for c in by_name["complementary"][1:]] == ["3", "1"]
    assert any("n/m: a mean of n of the m problems" in note for note in summary.notes)


def test_by_merges_the_problems_that_share_columns() -> None:
    frame = to_frame([*make_cases()])
    (table,) = make_tables(frame, by=["pattern", "N"])
    assert table.labels == ("pattern", "N", "problems")
    assert [row.labels for row in table.rows][:3] == [
        ("unstructured", "1", "2"),
        ("unstructured", "64", "2"),
        ("block", "1", "2"),
    ]
    chosen = frame[(frame["kernel"] == "csr") & (frame["pattern"] == "unstructured") & (frame["N"] == 64)]
    assert cell(table, 1, "csr").text == number(geomean(chosen["speedup"]))
    assert cell(table, 1, "csr").best


def test_by_never_merges_ratios_over_different_baselines() -> None:
    mixed = [
        *make_cases(shapes=[(64, 64)]),
        *(replace(c, baseline="numpy-dense") for c in make_cases(shapes=[(96, 64)])),
    ]
    assert len(make_tables(to_frame(mixed), by=["N"])) == 2
    assert len(make_tables(to_frame(mixed), by=["N"], metric="median")) == 1


@pytest.mark.parametrize(
    ("by", "message"),
    [("colour", "known: suite, problem"), ("median_s", "known"), ("kernel", "columns"), ("run", "known")],
)
def test_columns_that_cannot_be_merged_by_are_refused(by: str, message: str) -> None:
    frame = to_frame([*make_cases()])
    with pytest.raises(InputError, match=message):
        make_tables(frame, by=[by])
    with pytest.raises(InputError, match=message):
        write_csv(frame, io.StringIO(), by=[by])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("by", [(), ("pattern",)])
def test_every_metric_has_tables(metric: str, by: tuple[str, ...]) -> None:
    frame = to_frame([*make_cases()]).assign(kept_l1=0.4, kept_l2=0.6, roofline_fraction=0.5)
    table = make_tables(frame, metric=metric, by=by)[0]
    assert table.subtitle.startswith(METRICS[metric].title.partition(" {")[0])
    assert re.match(r"[\d,.e-]+( [a-zA-Z]+)?$", cell(table, 0, "csr").text)


def test_smaller_is_better_for_times_and_larger_for_rates() -> None:
    frame = to_frame([*make_cases(labels=["complementary/8"])])
    assert cell(make_tables(frame, metric="median")[0], 0, "complementary").best
    assert cell(make_tables(frame, metric="gflops_useful")[0], 0, "complementary").best


def test_unknown_metric_and_format_are_refused() -> None:
    with pytest.raises(InputError, match="known: speedup, median"):
        make_tables(to_frame([*make_cases()]), metric="joules")
    with pytest.raises(InputError, match="known: console, csv, markdown"):
        renderer("pdf")


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("options", [{}, {"metric": "median"}, {"by": ["pattern", "N", "threads"]}])
def test_console_fits_its_width(width: int, options: dict[str, Any]) -> None:
    cases = [*make_cases(SHAPES, (1, 64, 1024), threads=(1, 2))]
    cases[7] = spoil(cases[7], "failed", "a long story " * 20)
    lines = printed(to_frame(cases), width, **options).splitlines()
    assert max(map(len, lines)) <= width


def test_a_wide_console_shows_intervals_beside_values() -> None:
    frame = to_frame([*make_cases(labels=["complementary/8"])])
    assert re.search(r"512x512 +1 .*\*\d\d\.\d ±\d%", printed(frame, 140))
    narrow = printed(frame, 70)
    assert re.search(r"512x512 +1 .*\*\d\d\.\d +\d", narrow)
    assert re.search(r"^ +±\d%( +±\d%){6}$", narrow, re.MULTILINE)


def test_a_table_that_is_still_too_wide_is_split_and_repeats_its_baseline() -> None:
    table = make_tables(to_frame([*make_cases(labels=["block/4x4"])]))[0]
    parts = console.fit(table, Console(width=50))
    assert len(parts) > 1
    heads = [[str(column.header).replace("\n", "") for column in part.columns] for part in parts]
    assert all(head[:3] == ["M x K", "N", "mkl-dense"] for head in heads)
    assert [name for head in heads for name in head[3:]] == list(table.columns[1:])


def test_no_color_leaves_only_text_and_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = to_frame([*make_cases(labels=["unstructured"])])
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = Console(file=io.StringIO(), force_terminal=True, color_system="256", width=80)
    console.render(make_tables(frame), coloured)
    assert "\x1b[1;38;5;33m*" in coloured.file.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = Console(file=io.StringIO(), force_terminal=True, color_system="256", width=80)
    console.render(make_tables(frame), plain)
    assert "38;5" not in plain.file.getvalue()
    assert "*" in plain.file.getvalue()


@pytest.mark.parametrize(
    ("head", "lines"),
    [
        ("csr", ["csr"]),
        ("numpy-dense", ["numpy-", "dense"]),
        ("complementary", ["comple-", "mentary"]),
        ("complementary/8", ["comple-", "mentary", "/8"]),
    ],
)
def test_heads_are_broken_into_short_lines(head: str, lines: list[str]) -> None:
    assert console.break_head(head) == lines


def test_markdown_is_a_table_with_bold_best_and_escaped_text() -> None:
    stream = io.StringIO()
    write_markdown(spoilt("csr", "failed", "a | b * <c>"), stream)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "### smoke, matmul complementary/8, 95% sparse, 1 thread, v4"
    assert lines[4].startswith("| M x K | N | mkl-dense | dense | csr | complementary |")
    assert lines[5].startswith("| :-- | --: | --: |")
    assert re.fullmatch(r"\| 512x512 \| 1 \| .* \| failed \| \*\*\d\d\.\d\*\* ±\d% \|.*", lines[6])
    assert {line.count("|") for line in lines[4:10]} == {10}
    assert r"- failed: csr at 512x512 N=1: a \| b \* &lt;c>" in lines


def test_rows_of_tables_are_as_wide_as_their_heads() -> None:
    for by in ([], ["N"]):
        for table in make_tables(spoilt("csr", "timeout"), by=by):
            for row in table.rows:
                assert isinstance(row, Row)
                assert (len(row.labels), len(row.cells)) == (len(table.labels), len(table.columns))


def make_run(path: Path, cases: Sequence[CaseResult]) -> RunFolder:
    folder = RunFolder.create(path, {"finished": "now", "warnings": ["steal 3 %: stop what else runs"]})
    folder.append(cases)
    return folder


def run_report(*arguments: str | Path) -> Any:
    app = typer.Typer()
    app.command()(report)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})


def test_warnings_stand_below_the_tables(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [*make_cases()])
    result = run_report(tmp_path / "a")
    assert result.exit_code == 0
    assert "smoke, matmul unstructured" in result.stdout
    assert "  warning: steal 3 %: stop what else runs\n" in result.stdout
    assert result.stderr == ""
    assert "\n- warning: steal 3 %: stop what else runs\n" in run_report(tmp_path / "a", "--format", "markdown").stdout


def test_warnings_go_to_stderr_where_stdout_is_data(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [*make_cases()])
    result = run_report(tmp_path / "a", "--format", "csv")
    assert "steal" not in result.stdout
    assert result.stderr == "warning: steal 3 %: stop what else runs\n"


def test_warnings_of_several_runs_say_whose_they_are(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", [*make_cases()])
    second = make_run(tmp_path / "b", [*make_cases()])
    second.warn("drift")
    assert combine([first, second]).attrs["warnings"] == ["steal 3 %: stop what else runs", "b: drift"]


def test_a_run_without_its_record_is_still_shown(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [*make_cases()])
    (tmp_path / "a" / "run.json").write_bytes(b"\0" * 100)
    result = run_report(tmp_path / "a")
    assert result.exit_code == 0
    assert "smoke, matmul unstructured" in result.stdout
    said = " ".join(result.stdout.split())
    assert re.search(r"warning: \S+run.json is damaged: .*; how the run was made is lost", said)


def test_unsteady_samples_come_with_advice_and_idle_threads_by_kernel() -> None:
    cases = [*make_cases(labels=["unstructured"])]
    rising = [1e-6 * (1 + 0.01 * i) for i in range(20)]
    cases[1] = replace(cases[1], samples_s=rising, threads=4, busy_threads=1.2)
    said = " ".join(general(derive_rows([cases[1]])))
    assert "unsteady: 1 of 1 cases (1 drift)" in said
    assert "drift: times went up or down" in said
    assert f"ran for under 75% of the time of the threads asked for, by cases: {cases[1].kernel} 1" in said
    assert "threads asked for" not in " ".join(general(derive_rows([replace(cases[1], busy_threads=3.8)])))


def test_csv_of_one_run_is_its_results_csv(tmp_path: Path) -> None:
    cases = [*make_cases()]
    cases[3] = replace(spoil(cases[3], "wrong", 'a "quoted", text'), max_rel_error=float("inf"))
    make_run(tmp_path / "a", cases)
    result = run_report(tmp_path / "a", "--format", "csv")
    assert result.stdout == (tmp_path / "a" / RESULTS).read_text()


def test_several_runs_are_told_apart(tmp_path: Path) -> None:
    make_run(tmp_path / "before", [*make_cases(labels=["unstructured"])])
    make_run(tmp_path / "after", [*make_cases(labels=["unstructured"])])
    result = run_report(tmp_path / "before", tmp_path / "after")
    assert "before, smoke, matmul unstructured" in result.stdout
    assert "after, smoke, summary" in result.stdout
    merged = run_report(tmp_path / "before", tmp_path / "after", "--by", "run, N", "--format", "csv")
    lines = merged.stdout.splitlines()
    assert lines[0] == "run,N,baseline,kernel,problems,speedup"
    assert {line.split(",")[0] for line in lines[1:]} == {"before", "after"}
    assert {line.split(",")[4] for line in lines[1:]} == {"2"}
    same_name = combine([make_run(tmp_path / "x" / "after", [*make_cases()]), RunFolder.open(tmp_path / "after")])
    assert set(same_name["run"]) == {str(tmp_path / "x" / "after"), str(tmp_path / "after")}


def test_where_selects_cases(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [*make_cases()])
    result = run_report(tmp_path / "a", "--where", "lanes == 8 and N == 64", "--format", "csv")
    assert len(result.stdout.splitlines()) == 1 + 2 * len(SPEED)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("colour == 1", "columns: suite, problem"),
        ("N ==", "columns: suite"),
        ("N > 9999", "none of the"),
        ("3", "no condition"),
    ],
)
def test_where_that_is_wrong_is_refused(expression: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        select(to_frame([*make_cases()]), expression)


def test_output_goes_to_a_file(tmp_path: Path) -> None:
    make_run(tmp_path / "a", [*make_cases()])
    result = run_report(tmp_path / "a", "--format", "markdown", "-o", tmp_path / "report.md")
    assert result.stdout == ""
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("### smoke")
    refused = run_report(tmp_path / "a", "-o", tmp_path / "none" / "report.md")
    assert isinstance(refused.exception, InputError)
    assert "cannot write --output" in str(refused.exception)


def test_runs_without_cases_or_given_twice_are_refused(tmp_path: Path) -> None:
    empty = RunFolder.create(tmp_path / "empty", {})
    with pytest.raises(InputError, match="no case is finished"):
        combine([empty])
    with pytest.raises(InputError, match="twice"):
        combine([empty, RunFolder.open(tmp_path / "empty")])
    full = make_run(tmp_path / "full", [*make_cases()])
    assert set(combine([empty, full])["run"]) == {"full"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_be_written(form: str) -> None:
    stream = io.StringIO()
    by = ["N"] if form in ("console", "csv", "markdown") else []
    renderer(form)(to_frame([*make_cases()]), stream, metric="gflops_dense", by=by)
    assert "complementary" in stream.getvalue() or "mentary" in stream.getvalue()
