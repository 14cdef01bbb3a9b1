"""What a store holds, as tables: runs, baselines, noise floors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparsebench.bench.change import Scatter, largest_difference
from sparsebench.bench.stats import median
from sparsebench.noise import CaseNoise
from sparsebench.report.cells import Cell, Row, Table

if TYPE_CHECKING:
    from sparsebench.store import Baseline, StoredRun


def moment(iso: str) -> str:
    """Return a time, ISO 8601, as a person reads it, to the minute."""
    return iso[:16].replace("T", " ")


def _about(run: StoredRun) -> tuple[Cell, ...]:
    return (Cell(run.name), Cell(moment(run.started)), Cell((run.git_commit or "")[:10]), Cell(str(run.cases)))


_COLUMNS = ("suite", "started (UTC)", "commit", "cases")


def runs(found: Sequence[StoredRun], machine: str) -> Table:
    """List runs; those of the machine with this key are marked."""
    return Table(
        title="runs in the store",
        subtitle="*: of this machine",
        labels=("run", "machine"),
        columns=_COLUMNS,
        rows=tuple(Row((run.id, _marked(run.machine, machine)), _about(run)) for run in found),
        notes=() if found else ("none yet: 'sparsebench history --add RUN' or 'sparsebench run --record' adds one",),
    )


def baselines(found: Sequence[Baseline], machine: str) -> Table:
    """List baselines; those of the machine with this key are marked."""
    rows = [
        Row((baseline.name, _marked(baseline.run.machine, machine), baseline.run.id), _about(baseline.run))
        for baseline in found
    ]
    return Table(
        title="baselines",
        subtitle="*: of this machine",
        labels=("name", "machine", "run"),
        columns=_COLUMNS,
        rows=tuple(rows),
        notes=() if found else ("none yet: 'sparsebench baseline save NAME RUN' keeps one",),
    )


def _marked(machine: str, here: str) -> str:
    return f"{machine}*" if machine == here else machine


def noise(cases: Sequence[CaseNoise], every: bool) -> Table:
    """Summarise noise floors by kernel; with `every`, list those of all cases below, the largest first."""
    kernels: dict[tuple[str, str], list[CaseNoise]] = {}
    for case in cases:
        kernels.setdefault((case.kernel, case.rival), []).append(case)
    rows = [Row(key, (Cell(str(len(found))), *_floors(found, len(cases)))) for key, found in kernels.items()]
    listed = sorted(cases, key=lambda case: -_floor(case, len(cases))) if every else []
    lines = [
        f"{_floor(case, len(cases)):.0%} {case.kernel} at {case.problem}, {case.threads}"
        f" thread{'s' if case.threads > 1 else ''}, {case.level}"
        for case in listed
    ]
    measured = sorted({(moment(case.measured), case.runs, case.version) for case in cases})
    notes = [f"measured {when} UTC, {count} runs, sparsebench {version}" for when, count, version in measured]
    return Table(
        title="noise floors",
        subtitle=f"what two runs of one program differ by in none of {len(cases)} cases, 19 times in 20",
        labels=("kernel", "relative to"),
        columns=("cases", "median floor", "largest", "of times: median", "largest"),
        rows=tuple(rows),
        notes=(*notes, *lines),
    )


def _floor(case: CaseNoise, count: int) -> float:
    """Return the floor of a case as `compare` uses it by default, as a share."""
    if case.relative_sd is None or case.relative_freedom is None:
        return _own(case, count)
    return math.expm1(largest_difference(Scatter(case.relative_sd, case.relative_freedom), count))


def _own(case: CaseNoise, count: int) -> float:
    return math.expm1(largest_difference(Scatter(case.sd, case.freedom), count))


def _floors(found: Sequence[CaseNoise], count: int) -> list[Cell]:
    floors, own = ([of(case, count) for case in found] for of in (_floor, _own))
    return [Cell(f"{value:.0%}") for value in (median(floors), max(floors), median(own), max(own))]
