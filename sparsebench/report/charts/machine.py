"""What the machine allows: the roofline, and how times fall with threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparsebench.bench.roofline import work
from sparsebench.bench.stats import geomean
from sparsebench.report.cells import split
from sparsebench.report.charts.facets import by_kernel, group_labeller, of, panels
from sparsebench.report.charts.model import Axis, Chart, Panel, Point, Series
from sparsebench.report.frame import Record, variant_label
from sparsebench.report.kernel_kinds import in_float32, is_dense, skips_zeros
from sparsebench.report.metrics import number

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

_MOST_PANELS = 12


def roofline(loaded: Loaded) -> Chart | None:
    """Every case: the operations it needs a byte it needs, and the rate at which it did them, below the ceilings.

    Source: Williams, Waterman & Patterson, Roofline, CACM 52(4), 2009.
    """
    label = group_labeller(loaded.records)
    found: dict[tuple[str | None, str, int], dict[str, list[Point]]] = {}
    groups: dict[tuple[str | None, str, int], str] = {}
    for case, (record, result) in enumerate(zip(loaded.records, loaded.results, strict=True)):
        if result.status != "ok" or not result.median_s or not in_float32(result.kernel):
            continue
        needed = work(result, dense=is_dense(result.kernel), skips_zeros=skips_zeros(result.kernel))
        if needed is None:
            continue
        place = (record.get("run"), result.level, result.threads)
        point = Point(needed.flops / needed.nbytes, 1e-9 * needed.flops / result.median_s, case=case)
        found.setdefault(place, {}).setdefault(result.kernel, []).append(point)
        groups[place] = label(record)
    made = []
    for place, kernels in found.items():
        ceilings = loaded.runs[place[0]].get("ceilings", {}).get(f"{place[1]}, {place[2]} threads")  # type: ignore[index]
        if ceilings is None:
            # A run that was stopped before, or is older than, its ceilings: points without them say nothing here.
            continue
        series = [Series(kernel, tuple(points), kernel, "points") for kernel, points in kernels.items()]
        made.append(Panel(groups[place], "", (*series, *_ceilings(ceilings, list(kernels.values())))))
    if not made:
        return None
    return Chart(
        "roofline",
        "Roofline",
        "Each point is a case: operations it needs for each byte of packed weights, X and Y, read or written once,"
        " against operations a second. Lines: what this machine can do, measured before the run.",
        x=Axis("floating-point operations a byte"),
        y=Axis("GFLOP/s"),
        panels=tuple(made),
    )


def _ceilings(ceilings: dict[str, Any], points: Sequence[Sequence[Point]]) -> list[Series]:
    """Return a line for each level of the memory hierarchy, up to the peak, over the range of the points."""
    peak = ceilings["fma_gflops"]
    least = min(point.x for part in points for point in part)
    most = max(point.x for part in points for point in part)
    lines = []
    for name, rate in ceilings["read_gbytes"].items():
        ridge = peak / rate
        ends = [(x, min(peak, rate * x)) for x in sorted({least, min(max(ridge, least), most), most})]
        tip = f"{name}: {number(rate)} GB/s of reads; peak {number(peak)} GFLOP/s"
        lines.append(Series(name, tuple(Point(x, y, tip=tip) for x, y in ends), label="start"))
    return lines


def over_threads(loaded: Loaded) -> Chart | None:
    """How many times as fast each kernel is with more threads, over problems measured at all thread counts."""
    records = [r for r in loaded.records if r["status"] == "ok" and r["median_s"] is not None]
    complete = []
    for part in split(records, _of_kernel):
        everywhere = {r["threads"] for r in part}
        if len(everywhere) > 1:
            cases = split(part, lambda record: (record["problem"],))
            complete += [r for case in cases if {r["threads"] for r in case} == everywhere for r in case]
    if not complete:
        return None
    label, made = group_labeller(complete, threads=False), []
    for group in split(complete, lambda record: (label(record),)):
        for title, part in panels(group, (("variant", "N"), ("N",), ("variant",)), _MOST_PANELS):
            made.append(Panel(label(part[0]), title, tuple(_scaling(part))))
    counts = tuple(sorted({r["threads"] for r in complete}))
    few = counts[0]
    ideal = Series("ideal, as many as threads", tuple(Point(n, n / few, tip=f"ideal: {n / few:.3g}x") for n in counts))
    return Chart(
        "threads",
        "Thread scaling",
        f"Time with {few} thread{'s' if few > 1 else ''} over time with more, of the same kernel and problem; geometric"
        " mean. Measured by different processes, so no interval is claimed.",
        x=Axis("threads", counts, lambda x: f"{x:g}"),
        y=Axis("times as fast", ratio=True),
        panels=tuple(Panel(p.group, p.title, (*p.series, ideal)) for p in made),
    )


def _of_kernel(record: Record) -> tuple[object, ...]:
    return record.get("run"), record["suite"], record["level"], record["kernel"], variant_label(record)


def _scaling(records: Sequence[Record]) -> list[Series]:
    series = []
    for kernel, cases in by_kernel(records).items():
        few = min(r["threads"] for r in cases)
        alone = {_place(r): r["median_s"] for r in cases if r["threads"] == few}
        points = []
        for part in sorted(split(cases, lambda record: (record["threads"],)), key=lambda p: p[0]["threads"]):
            ratio = geomean([alone[_place(r)] / r["median_s"] for r in part])
            count = part[0]["threads"]
            points.append(Point(count, ratio, tip=f"{kernel}, {count} threads: {ratio:.3g}x{of(part)}"))
        series.append(Series(kernel, tuple(points), kernel))
    return series


def _place(record: Record) -> tuple[object, ...]:
    return record["suite"], record["problem"]
