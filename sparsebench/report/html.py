"""A run as one page: a file that asks for nothing else, of charts, conditions and a table of all cases."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sparsebench.bench.machine import key_hash
from sparsebench.errors import InputError
from sparsebench.report import break_even, break_even_table, charts, notes, peers, peers_table
from sparsebench.report.case_data import case_data
from sparsebench.report.charts.model import Chart, Grid
from sparsebench.report.charts.style import COLOURS, ROLES, Style, styles
from sparsebench.report.page import render
from sparsebench.report.svg import WIDE, extent, grid_svg, panel_svg, swatch
from sparsebench.report.thresholds import evaluate
from sparsebench.report.verdicts.lines import Checked, Line, lines
from sparsebench.suite.thresholds import of_suites

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded


@dataclass(frozen=True, slots=True)
class _Figure:
    """A panel drawn: for screens as wide as it needs, and narrow for small ones where that differs."""

    title: str
    svg: Markup
    narrow: Markup | None = None


@dataclass(frozen=True, slots=True)
class _Section:
    chart: Chart
    legend: tuple[tuple[str, Markup], ...]
    groups: tuple[tuple[str, tuple[_Figure, ...]], ...]


def save(loaded: Loaded, suffix: str, output: Path, names: Sequence[str] = ()) -> list[Path]:
    """Write the page to a file; `suffix` and `names` are for other formats.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    text = page(loaded)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write --output {output}: {error.strerror}") from error
    return [output]


def page(loaded: Loaded) -> str:
    """Return the page as HTML; the verdicts on the suites' claims open it."""
    found = charts.make(loaded)
    kernels = list(dict.fromkeys(record["kernel"] for record in loaded.records))
    looks = styles(kernels) | ROLES
    sections = [_section(chart, looks) for chart in found]
    records = loaded.records
    return render(
        "report.html",
        title=", ".join(dict.fromkeys(record["suite"] for record in records)),
        subtitles=list(dict.fromkeys(_titles(loaded))),
        heads=[_head(folder.run) for folder in loaded.folders],
        paths=[str(folder.path) for folder in loaded.folders],
        claims=list(_claims(loaded)),
        first=next((s for s in sections if s.chart.name == "overview"), None),
        sections=[section for section in sections if section.chart.name != "overview"],
        break_evens=break_even_table.tables(break_even.find(loaded)),
        peers=peers_table.tables(peers.find(loaded)),
        fairness=peers.FAIRNESS,
        absent=notes.unavailable(records),
        warnings=[(folder.path.name, folder.warnings()) for folder in loaded.folders if folder.warnings()],
        troubles=notes.troubles(records, {record["problem"]: record["problem"] for record in records}),
        notes=notes.general(records),
        facts=[(folder.path.name, list(_facts(folder.run))) for folder in loaded.folders],
        measured=sum(record["status"] == "ok" for record in records),
        count=len(records),
        colours=COLOURS,
        data=Markup(case_data(loaded)),
    )


def _claims(loaded: Loaded) -> Iterator[Line]:
    """Yield the verdicts on the thresholds in the suites of each run, by all of its cases."""
    for folder in loaded.folders:
        suites = {
            name: text for name, text in folder.run.get("suites", {}).items() if "thresholds" in tomllib.loads(text)
        }
        if not suites:
            continue
        key = key_hash(folder.run["machine"])
        outcomes = evaluate(folder.results(), of_suites(suites), key)
        yield from lines(Checked(str(folder.path), key, tuple(outcomes), folder.run.get("settings", {})))


def _titles(loaded: Loaded) -> Iterator[str]:
    """Yield what suites say of themselves."""
    for folder in loaded.folders:
        for text in folder.run.get("suites", {}).values():
            yield str(tomllib.loads(text).get("title", ""))


def _head(run: dict[str, Any]) -> str:
    """Return in a line on what and when a run was measured."""
    machine = run.get("machine", {})
    cores = f"{machine['cores']} cores" if "cores" in machine else None
    version = f"sparsebench {run['sparsebench']}" if "sparsebench" in run else None
    parts = [machine.get("model"), cores, _minute(run.get("started")), version]
    return ", ".join(str(part) for part in parts if part)


def _minute(time: str | None) -> str | None:
    return f"{time[:16].replace('T', ' ')} UTC" if time else None


def _section(chart: Chart, looks: dict[str, Style]) -> _Section:
    groups = tuple((group, tuple(_figures(chart, group, looks))) for group in chart.groups())
    legend = tuple((kernel, Markup(swatch(looks[kernel]))) for kernel in chart.kernels())
    return _Section(chart, legend, groups)


def _figures(chart: Chart, group: str, looks: dict[str, Style]) -> Iterator[_Figure]:
    parts = chart.parts(group)
    for part in parts:
        if isinstance(part, Grid):
            yield _Figure(part.title, Markup(grid_svg(part, chart.strongest())))
            continue
        ranges = extent(chart, "x"), extent(chart, "y")
        small = Markup(panel_svg(part, (chart.x, chart.y), ranges, looks))
        if len(parts) > 1:
            yield _Figure(part.title, small)
        else:
            yield _Figure(part.title, Markup(panel_svg(part, (chart.x, chart.y), ranges, looks, WIDE)), small)


def _facts(run: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a run's record says of machine, conditions, versions and settings; what changed with both values."""
    before, after = run.get("conditions", {}).get("before", {}), run.get("conditions_after", {})
    changed = dict(_flat(after)) if after else {}
    for name in ("name", "started", "finished", "git_commit"):
        if name in run:
            yield name, str(run[name])
    yield "command", shlex.join(run.get("argv", []))
    yield from _flat(run.get("machine", {}))
    for name, text in _flat(before):
        yield name, text if changed.get(name, text) == text else f"{text} → {changed[name]}"
    for name in ("ceilings", "libraries", "settings"):
        yield from _flat(run.get(name, {}), f"{name}: ")
    for kernel, about in run.get("kernels", {}).items():
        yield f"kernel {kernel}", ", ".join(f"{value}" for value in about.values() if value)


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}: ")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                yield f"{prefix}{name}", ", ".join(f"{v}" for v in item.values() if v is not None)
        else:
            yield f"{prefix}{name}", _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return "not known" if value is None else str(value)
