"""A study as one page, a file that asks for nothing else: the claims, the chart, the tables."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from markupsafe import Markup

from sparsebench.report.accuracy.chart import chart, looks
from sparsebench.report.accuracy.tables import make_tables
from sparsebench.report.charts.model import Chart, Panel
from sparsebench.report.page import render
from sparsebench.report.svg import extent, panel_svg, swatch

if TYPE_CHECKING:
    from sparsebench.accuracy.folder import AccuracyFolder

_WIDTH = 520


def page(folder: AccuracyFolder) -> str:
    """Return the page as HTML."""
    results, timings = folder.results(), folder.timings()
    made = chart(results, timings)
    styles = looks(made) if made else {}
    *tables, about = make_tables(results, timings, folder.warnings())
    machine, torch = folder.record["machine"].get("model"), folder.record["torch"]
    started = folder.record["started"][:16].replace("T", " ")
    return render(
        "accuracy.html",
        title=f"Accuracy: {folder.record['name']}",
        head=f"{machine}, {started} UTC, PyTorch {torch}, sparsebench {folder.record['sparsebench']}",
        command=shlex.join(folder.record["argv"]),
        chart=made,
        legend=[(name, Markup(swatch(style))) for name, style in styles.items()],
        groups=_groups(made) if made else [],
        # What a reader came for is first.
        tables=sorted(tables, key=lambda table: not table.title.startswith("claims")),
        notes=about.notes,
    )


def _groups(made: Chart) -> list[tuple[str, list[tuple[str, Markup]]]]:
    ranges = extent(made, "x"), extent(made, "y")
    styles = looks(made)
    return [
        (
            group,
            [
                (part.title, Markup(panel_svg(part, (made.x, made.y), ranges, styles, _WIDTH)))
                for part in made.parts(group)
                if isinstance(part, Panel)
            ],
        )
        for group in made.groups()
    ]
