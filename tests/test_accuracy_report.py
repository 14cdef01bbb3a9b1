"""Reports on studies: pure functions of their results, so that what they say can be known beforehand."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from studies import RECORD, study, trained

from sparsebench.accuracy.folder import AccuracyFolder
from sparsebench.accuracy.results import Timing, TrainingResult
from sparsebench.errors import InputError
from sparsebench.report import tables_renderer
from sparsebench.report.accuracy import deliver, require
from sparsebench.report.accuracy.chart import chart, looks
from sparsebench.report.accuracy.cohorts import Study
from sparsebench.report.accuracy.tables import make_tables
from sparsebench.report.cells import Table
from sparsebench.report.scale import Scale, linear_span, linear_ticks

MODES = ("dense", "sparse-dense", "sparse-sparse")


def timings(results: list[TrainingResult]) -> dict[str, dict[str, Timing]]:
    """Of the first fold: the dense network takes 100 us in any mode, sparse ones 10, blocks 5."""
    found = {}
    for result in results:
        if result.fold == "ann":
            micros = {"dense": 100, "block/16x16": 5}.get(result.pattern, 10)
            own = {mode: 100 if mode == "dense" else micros for mode in MODES}
            found[result.name] = {m: Timing(us * 1e-6, us * 0.99e-6, us * 1.01e-6) for m, us in own.items()}
    return found


def tables() -> dict[str, Table]:
    results = study()
    return {table.title: table for table in make_tables(results, timings(results), ["doubt"])}


def row(table: Table, *labels: str) -> list[str]:
    (found,) = [row for row in table.rows if row.labels[: len(labels)] == labels]
    return [cell.text for cell in found.cells]


def test_accuracies_are_compared_in_pairs_and_with_their_speed() -> None:
    table = tables()["accuracy, leave-one-speaker-out, 95 % sparse"]
    assert table.subtitle == "600 samples judge, in 3 folds; seeds 0"
    assert row(table, "dense", "ReLU") == ["88.00", "", "", "100", "100.0", "1.00"]
    assert row(table, "complementary/1", "ReLU") == ["87.00", "-1.00", "+0.00", "100", "10.0", "10.00"]
    assert row(table, "block/16x16", "k-winners at 12%") == ["78.00", "-10.00", "-9.00", "100", "5.0", "20.00"]
    # With ReLU first, dense first.
    assert [found.labels[0] for found in table.rows[:2]] == ["dense", "unstructured"]
    detail = table.rows[0].cells[0].detail
    # Student over three speakers: 4.303 * 2 / sqrt(3).
    assert detail == "±4.97"


def test_claims_follow_from_the_intervals() -> None:
    table = tables()["claims, leave-one-speaker-out, 95 % sparse"]
    said = {(found.labels[0], found.labels[1]): [cell.text for cell in found.cells] for found in table.rows}
    assert said["C9", "complementary/1 loses nothing"] == ["+0.00", "holds"]
    assert said["C9", "block/16x16 loses"] == ["-9.00", "holds"]
    assert said["C10", "complementary/1, static, loses nothing"] == ["+0.00", "holds"]
    assert said["C7", "complementary/1, k-winners at 12%, loses nothing"] == ["-1.00", "does not hold"]
    assert len(table.rows) == 4


def test_a_claim_is_undecided_where_the_interval_is_wide() -> None:
    results = [
        trained(pattern, level, seed=seed)
        for seed, levels in enumerate(((0.9, 0.88), (0.9, 0.93), (0.9, 0.85)))
        for pattern, level in zip(("unstructured", "complementary/1"), levels, strict=True)
    ]
    (table,) = [table for table in make_tables(results, {}) if table.title.startswith("claims")]
    assert [cell.text for cell in table.rows[0].cells] == ["-1.33", "undecided"]


def test_static_masks_are_compared_with_pruning() -> None:
    title = "static mask against pruning a trained dense network, leave-one-speaker-out, 95 % sparse"
    assert row(tables()[title], "complementary/1", "ReLU") == ["87.00", "87.00", "+0.00"]


def test_what_reaches_layers_is_told() -> None:
    table = tables()["what reaches each layer, leave-one-speaker-out, 95 % sparse"]
    assert table.columns == ("conv1", "linear1")
    assert row(table, "dense", "k-winners at 12%") == ["100.0%", "30.0%"]


def test_what_went_wrong_is_told_below_and_does_not_count() -> None:
    results = [*study(), trained("complementary/8", fold="ann", status="diverged")]
    tables = make_tables(results, {}, ["doubt"])
    assert any("ann-0-complementary-8-1-static: diverged: the loss is nan" in note for note in tables[-1].notes)
    assert "warning: doubt" in tables[-1].notes
    assert row(tables[0], "complementary/8", "ReLU")[0] == "failed"


def test_speedups_are_over_the_dense_network_with_relu() -> None:
    results = study()
    whole = Study.of(results, timings(results))
    found = whole.speedup(next(c for c in whole.cohorts if c.pattern == "complementary/1"))
    assert found is not None and found.value == pytest.approx(10) and found.low == pytest.approx(9.9 / 1.01)
    assert Study.of(results, {}).speedup(whole.cohorts[0]) is None


def test_the_chart_has_a_point_for_each_pattern_and_dense_in_the_corner() -> None:
    results = study()
    made = chart(results, timings(results))
    assert made is not None and made.y.linear and not made.x.linear
    assert [panel.title for panel in made.panels] == ["ReLU", "k-winners at 12%"]
    for panel in made.panels:
        points = {series.name: series.points[0] for series in panel.series}
        assert list(points) == ["dense", "unstructured", "complementary/1", "block/4x4", "block/16x16"]
        assert points["dense"].x == 1 == min(point.x for point in points.values())
        assert points["block/16x16"].x == pytest.approx(20) and points["block/16x16"].y == pytest.approx(78)
    drawn = looks(made)
    assert len({(style.colour, style.marker) for style in drawn.values()}) == len(drawn)
    assert chart(results, {}) is None


@pytest.mark.parametrize("columns", [80, 140])
def test_tables_fit_their_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = io.StringIO()
    results = study()
    tables_renderer("console")(make_tables(results, timings(results)), stream)
    assert max(map(len, stream.getvalue().splitlines())) <= columns
    assert "loses nothing" in stream.getvalue()


def folder(path: Path) -> AccuracyFolder:
    made = AccuracyFolder.create(path, RECORD)
    for result in study():
        made.append(result)
    return made


def test_a_study_is_written_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = folder(tmp_path / "s")
    times = timings(made.results())
    monkeypatch.setattr(AccuracyFolder, "timings", lambda self: times)
    for form in ("markdown", "html"):
        deliver(made, form, tmp_path / f"out.{form}")
    text = (tmp_path / "out.html").read_text()
    assert "Some &lt;CPU&gt;" in text and "<script" not in text and text.count("<svg viewBox") == 2
    assert re.search(r"<td>C9</td>.*holds</td>", text)
    assert "| dense | ReLU |" in (tmp_path / "out.markdown").read_text()
    pytest.importorskip("matplotlib")
    deliver(made, "svg", tmp_path / "charts")
    assert (tmp_path / "charts" / "accuracy.svg").read_text().startswith("<?xml")


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--format 'csv' is not known; known: console"):
        require("csv", None)
    with pytest.raises(InputError, match=r"--format html needs --output FILE\.html"):
        require("html", None)
    with pytest.raises(InputError, match="has no finished training yet"):
        deliver(AccuracyFolder.create(tmp_path / "e", RECORD), "console", None)
    with pytest.raises(InputError, match="has no times"):
        deliver(folder(tmp_path / "s"), "svg", tmp_path / "charts")


def test_linear_axes_have_round_ticks_and_places() -> None:
    place = Scale(80, 100, 0, 200, linear=True)
    assert [place(value) for value in (80, 85, 100, 120)] == [0, 50, 200, 200]
    assert linear_span([90.0, 95.0]) == pytest.approx((89.7, 95.3))
    assert linear_ticks(76.5, 101.2) == [80, 90, 100]
    assert linear_ticks(98.4, 99.7) == [98.5, 99.0, 99.5]
    assert linear_span([5.0])[0] < 5 < linear_span([5.0])[1]
