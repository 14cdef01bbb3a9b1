"""Charts of a run as data: what to draw, merged and labelled once, for the page and for papers alike.

A chart is a function ``(Loaded) -> Chart | None`` in a module of this package and a line in `CHARTS`; None where the
run has nothing to show for it, such as one batch size only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sparsebench.errors import InputError
from sparsebench.report.charts import break_even, costs, machine, peers, speedups
from sparsebench.report.charts.model import Chart

if TYPE_CHECKING:
    from sparsebench.report.loaded import Loaded

# In the order of a page; the first answers what sparsity buys.
CHARTS: dict[str, Callable[[Loaded], Chart | None]] = {
    "overview": speedups.overview,
    "peers": peers.peers,
    "sparsity": speedups.over_sparsity,
    "batch": speedups.over_batch,
    "break-even": break_even.break_even,
    "roofline": machine.roofline,
    "threads": machine.over_threads,
    "shapes": speedups.shapes,
    "prepare": costs.prepare_time,
    "bytes": costs.packed_size,
}


def make(loaded: Loaded, names: Sequence[str] = ()) -> list[Chart]:
    """Make the charts of these names, or all that the cases have something to show for.

    Raises
    ------
    InputError
        If a chart is not known, or one that is named has nothing to show.
    """
    for name in names:
        if name not in CHARTS:
            raise InputError(f"--chart '{name}' is not known; known: {', '.join(CHARTS)}")
    charts = {name: CHARTS[name](loaded) for name in names or CHARTS}
    for name in names:
        if charts[name] is None:
            raise InputError(f"--chart {name}: these cases have nothing to show in it")
    return [chart for chart in charts.values() if chart is not None]
