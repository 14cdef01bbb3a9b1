"""Charts as data, and as files for papers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import make_run
from test_report import SPEED, make_case, make_cases, spoil
from typer.testing import CliRunner

import sparsebench
from sparsebench import isa
from sparsebench.bench.plan import all_kernels
from sparsebench.bench.stats import geomean
from sparsebench.cli.app import app
from sparsebench.errors import InputError, UnavailableError
from sparsebench.report import charts, deliver
from sparsebench.report.charts.facets import full_table
from sparsebench.report.charts.model import Chart, Panel, Series
from sparsebench.report.charts.style import COLOURS, MARKERS, styles
from sparsebench.report.figures import save
from sparsebench.report.kernel_kinds import in_float32, is_dense, skips_zeros, storage
from sparsebench.report.loaded import Loaded, load
from sparsebench.report.scale import Scale, apart, span, ticks
from sparsebench.results import CaseResult

DENSITIES = (0.5, 0.1, 0.05)


def of_densities(kernels: Sequence[str] = ("mkl-dense", "csr", "mkl-csr")) -> list[CaseResult]:
    return [
        make_case(f"matmul:512x512x{N}:unstructured+{1 - density:g}:f32", kernel, 1, density=density)
        for density in DENSITIES
        for N in (1, 64)
        for kernel in kernels
    ]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """Two shapes, two N, three patterns, two thread counts."""
    return load([make_run(tmp_path_factory.mktemp("runs") / "run", [*make_cases(threads=(1, 2))])])


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """One shape at several densities."""
    return load([make_run(tmp_path_factory.mktemp("runs") / "run", of_densities())])


def chart(of: Loaded, name: str) -> Chart:
    (made,) = charts.make(of, [name])
    return made


def series(panel: Panel, kernel: str) -> Series:
    return next(s for s in panel.series if s.kernel == kernel)


def test_names_say_what_kernels_do() -> None:
    """The reports' reading of names is what every registered kernel says of itself."""
    for kernels in all_kernels(isa.active()).values():
        for name, kernel in kernels.items():
            assert is_dense(name) == kernel.dense, name
            assert skips_zeros(name) == kernel.skips_zeros, name
            assert in_float32(name) == (kernel.dtype == "f32"), name


def test_a_format_has_one_colour_and_an_owner_one_marker() -> None:
    looks = styles([*SPEED, "complementary-ss", "scipy-ss", "somebody-ell"])
    assert looks["csr"].colour == looks["mkl-csr"].colour == looks["scipy-csr"].colour
    assert looks["block"].colour == looks["mkl-bsr"].colour
    assert looks["mkl-csr"].marker == looks["mkl-bsr"].marker != looks["csr"].marker
    assert len({(look.colour, look.marker, look.dash) for look in looks.values()}) == len(looks)
    assert all(look.colour < len(COLOURS) and look.marker in MARKERS for look in looks.values())
    assert storage("mkl-im2col-csr") == "csr"


def test_the_overview_is_the_geometric_mean_by_pattern(loaded: Loaded) -> None:
    panel = chart(loaded, "overview").panels[0]
    assert panel.group == "1 thread, v4"
    assert panel.y is not None
    assert panel.y.rows == ("unstructured", "block/4x4", "complementary/8")
    frame = loaded.frame
    cases = frame[(frame["kernel"] == "complementary") & (frame["status"] == "ok") & (frame["threads"] == 1)]
    (point,) = series(panel, "complementary").points
    assert point.y == 2
    assert point.x == pytest.approx(geomean(list(cases["speedup"])))
    assert point.low == pytest.approx(geomean(list(cases["speedup_ci_low"])))
    assert point.high == pytest.approx(geomean(list(cases["speedup_ci_high"])))
    assert "geometric mean of 4" in point.tip
    ideal = next(s for s in panel.series if not s.kernel)
    assert [p.x for p in ideal.points] == pytest.approx([20, 20, 20])
    # The baseline over itself is always 1.
    assert "mkl-dense" not in {s.kernel for s in panel.series}


def test_cases_without_an_answer_are_in_no_chart(tmp_path: Path) -> None:
    cases = [spoil(c, "wrong", "no") if c.kernel == "csr" else c for c in make_cases()]
    made = charts.make(load([make_run(tmp_path / "run", cases)]))
    assert "overview" in {c.name for c in made}
    assert all("csr" not in c.kernels() for c in made)
    assert all("csr" not in grid.columns for c in made for grid in c.grids)


def test_speedup_over_sparsity_has_a_panel_for_each_n(varied: Loaded) -> None:
    made = chart(varied, "sparsity")
    assert [panel.title for panel in made.panels] == ["N = 1", "N = 64"]
    assert [p.x for p in series(made.panels[0], "csr").points] == pytest.approx([2, 10, 20])
    assert made.x.show(20) == "95%"
    (ideal,) = [s for s in made.panels[0].series if not s.kernel]
    assert all(p.x == p.y for p in ideal.points)


def test_speedup_over_batch_size(loaded: Loaded) -> None:
    made = chart(loaded, "batch")
    first = made.panels[0]
    assert made.groups() == ["1 thread, v4", "2 threads, v4"]
    assert (first.title, [p.x for p in series(first, "csr").points]) == ("unstructured, 512x512", [1, 64])
    assert SPEED["csr"] * 0.9 < series(first, "csr").points[0].y < SPEED["csr"] * 1.1


def test_a_line_is_of_the_same_problems_at_every_x() -> None:
    sizes = {(512, 512): (1, 16, 64), (768, 256): (1, 16, 64), (64, 64): (1, 4)}
    records = [{"M": M, "K": K, "N": N} for (M, K), ns in sizes.items() for N in ns]
    kept = full_table(records, lambda r: r["N"], ("M", "K"))
    assert {(r["M"], r["N"]) for r in kept} == {(M, N) for M in (512, 768) for N in (1, 16, 64)}
    assert full_table(records[:1], lambda r: r["N"], ("M", "K")) == []


def test_thread_scaling_compares_a_problem_with_itself(tmp_path: Path) -> None:
    # One problem was not measured with two threads: it would change the mean.
    cases = [c for c in make_cases(threads=(1, 2)) if (c.M, c.N, c.threads) != (512, 1, 2)]
    made = chart(load([make_run(tmp_path / "run", cases)]), "threads")
    points = series(made.panels[-1], "csr").points
    assert [p.x for p in points] == [1, 2]
    assert points[0].y == 1
    assert 1.9 < points[1].y < 2.1
    assert all("geometric mean of 3" not in p.tip for panel in made.panels for s in panel.series for p in s.points)


def test_the_roofline_has_every_measured_case_and_the_runs_ceilings(loaded: Loaded) -> None:
    made = chart(loaded, "roofline")
    assert made.groups() == ["1 thread, v4", "2 threads, v4"]
    panel = made.panels[0]
    cases = [p.case for s in panel.series for p in s.points if p.case is not None]
    frame = loaded.frame.reset_index()
    assert sorted(cases) == list(frame.index[(frame["status"] == "ok") & (frame["threads"] == 1)])
    point = next(p for p in series(panel, "csr").points if p.case is not None)
    case = loaded.results[point.case or 0]
    nbytes = (case.packed_bytes or 0) + 4 * (case.K * case.N + case.M * case.N)
    assert point.x == pytest.approx(2 * (case.nnz or 0) * case.N / nbytes)
    assert point.y == pytest.approx(case.gflops_useful)
    dense = loaded.results[series(panel, "mkl-dense").points[0].case or 0]
    assert series(panel, "mkl-dense").points[0].y == pytest.approx(dense.gflops_dense)
    lines = {s.name: s.points for s in panel.series if not s.kernel}
    assert list(lines) == ["L1d", "L2", "L3", "memory"]
    assert all((p.y <= 250.0 and p.y <= 50.0 * p.x * 1.0001) or p.y == 250.0 for p in lines["memory"])


def test_the_heat_map_has_shapes_and_kernels(loaded: Loaded) -> None:
    grid = chart(loaded, "shapes").grids[0]
    assert grid.rows == ("512x512", "3072x768")
    assert grid.columns[:2] == ("dense", "csr")
    assert chart(loaded, "shapes").strongest() == pytest.approx(math.log(SPEED["complementary"]), rel=0.1)


def test_costs_are_relative_to_the_matrix(loaded: Loaded) -> None:
    (point, *_) = series(chart(loaded, "bytes").panels[0], "csr").points
    assert point.x == pytest.approx(0.25)
    assert chart(loaded, "bytes").x.show(point.x) == "25%"
    prepare = series(chart(loaded, "prepare").panels[0], "csr").points[0]
    assert prepare.low == pytest.approx(1e-3 / (3072 * 768))
    assert prepare.high == pytest.approx(1e-3 / (512 * 512))


def test_break_even_is_a_chart_too(varied: Loaded) -> None:
    made = chart(varied, "break-even")
    assert made.panels[0].y is not None
    assert made.panels[0].y.rows == ("512x512, N = 1", "512x512, N = 64")
    assert [p.beyond for p in series(made.panels[0], "csr").points] == ["less", "less"]


def test_charts_with_nothing_to_show_are_left_out(tmp_path: Path) -> None:
    one = load([make_run(tmp_path / "run", [*make_cases(shapes=[(512, 512)], sizes=[1])], ceilings={})])
    assert [c.name for c in charts.make(one)] == ["overview", "peers", "prepare", "bytes"]
    with pytest.raises(InputError, match="nothing to show"):
        charts.make(one, ["batch"])
    with pytest.raises(InputError, match="'bach' is not known; known: overview, "):
        charts.make(one, ["bach"])


def test_several_runs_are_told_apart(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / name, [*make_cases()]) for name in ("a", "b")]
    assert chart(load(folders), "overview").groups() == ["a, 1 thread, v4", "b, 1 thread, v4"]
    assert chart(load(folders), "roofline").groups() == ["a, 1 thread, v4", "b, 1 thread, v4"]


def test_chosen_cases_keep_their_samples(tmp_path: Path) -> None:
    found = load([make_run(tmp_path / "run", [*make_cases()])], "kernel == 'csr' and N == 64")
    assert [r.problem for r in found.results] == list(found.frame["problem"])
    assert {r.kernel for r in found.results} == {"csr"}


@given(st.floats(1e-9, 1e9), st.floats(1.0, 1e6))
def test_ticks_are_round_and_within(low: float, ratio: float) -> None:
    start, end = span([low, low * ratio])
    found = ticks(start, end)
    assert len(found) >= 1
    assert found == sorted(found)
    assert all(start <= value <= end for value in found)
    assert end / start >= 1.99


def test_scale_and_labels() -> None:
    scale = Scale(1, 100, 0, 200)
    assert [scale(v) for v in (0.1, 1, 10, 100, 1000)] == pytest.approx([0, 0, 100, 200, 200])
    assert apart([1, 1.1, 10, 11, 100], scale, lambda v: 20) == [1, 10, 100]


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_files_for_papers(varied: Loaded, tmp_path: Path, suffix: str) -> None:
    paths = save(varied, suffix, tmp_path / "figures", ["overview", "break-even", "sparsity"])
    assert [p.name for p in paths] == [f"{name}.{suffix}" for name in ("overview", "break-even", "sparsity")]
    assert all(p.stat().st_size > 5000 for p in paths)
    if suffix == "svg":
        text = paths[0].read_text()
        ET.fromstring(text)
        for word in ("mkl-csr", "ideal, 1/density", "unstructured 95%", "speed-up over mkl-dense"):
            assert word in text


def test_a_file_for_each_group_unless_one_is_named(loaded: Loaded, tmp_path: Path) -> None:
    names = [p.name for p in save(loaded, "svg", tmp_path, ["shapes"])]
    assert names == ["shapes-1-thread-v4.svg", "shapes-2-threads-v4.svg"]
    with pytest.raises(InputError, match="is one file, but there are 2 charts"):
        save(loaded, "svg", tmp_path / "one.svg", ["shapes"])
    assert save(loaded, "svg", tmp_path / "one.svg", ["threads"]) == [tmp_path / "one.svg"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        save(loaded, "svg", tmp_path / "file", ["threads"])


def test_without_matplotlib_the_command_that_installs_it(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(UnavailableError, match=r"pip install 'sparsebench\[plot\]'"):
        save(loaded, "png", tmp_path)


def test_parquet_and_notebooks_have_the_same_frame(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = make_run(tmp_path / "run", [*make_cases()]).path
    target = tmp_path / "cases.parquet"
    result = CliRunner().invoke(app, ["report", str(folder), "--format", "parquet", "-o", str(target)])
    assert result.exit_code == 0, result.output
    frame = sparsebench.load(folder)
    pd.testing.assert_frame_equal(pd.read_parquet(target), frame, check_dtype=False)
    chosen = sparsebench.load(str(folder), where="kernel == 'csr'", samples=True)
    assert set(chosen["kernel"]) == {"csr"}
    assert all(len(samples) == 15 for samples in chosen["samples_s"])
    assert "samples_s" not in frame
    assert sparsebench.load(folder, make_run(tmp_path / "b", [*make_cases()]).path).columns[0] == "run"


def test_without_pyarrow_the_command_that_installs_it(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UnavailableError, match=r"pip install 'sparsebench\[parquet\]'"):
        deliver.deliver(loaded, deliver.Request(form="parquet", output=tmp_path / "x.parquet"))
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"form": "htm"}, "known: console, csv, markdown, .*html, parquet, png, svg"),
        ({"form": "html"}, "--format html needs --output FILE.html"),
        ({"form": "svg"}, "--format svg needs --output FOLDER"),
        ({"charts": ("batch",)}, "--chart is for --format png or svg"),
        ({"form": "html", "break_even": True, "output": Path("x")}, "--break-even is for --format console"),
        ({"plot": "N"}, "--plot needs --output"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        deliver.Request(**options)  # type: ignore[arg-type]


def test_bars_show_the_best_of_ours_and_of_the_others(loaded: Loaded, tmp_path: Path) -> None:
    folder = str(loaded.folders[0].path)
    lines = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["report", folder]).stdout.splitlines()
    start = lines.index("speed-up over mkl-dense, 1 thread, v4")
    rows = [line.split() for line in lines[start + 2 : start + 8]]
    assert [(row[0], row[-3]) for row in rows[::2]] == [
        ("unstructured", "csr"),
        ("block/4x4", "block"),
        ("complementary/8", "complementary"),
    ]
    assert [row[-3] for row in rows[1::2]] == ["mkl-csr", "mkl-bsr", "mkl-csr"]
    assert len(rows[4][-2]) > 2 * len(rows[5][-2])
    assert all(len(line) <= 80 for line in lines)
    assert "\x1b" not in "".join(lines)
