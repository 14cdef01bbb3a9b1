"""What every format says of a threshold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.bench.stats import Interval
from sparsebench.report import metrics, repro
from sparsebench.report.thresholds import Outcome, Verdict, confidence_at, exit_code

if TYPE_CHECKING:
    from sparsebench.report.threshold_cells import Place

_SHOW: dict[str, Callable[[float], str]] = {metric.column: metric.show for metric in metrics.METRICS.values()}
_SHOW |= {"speedup": lambda value: f"{metrics.number(value)}x", "selection_s": metrics.duration}
_COUNTED: dict[Verdict, tuple[str, str]] = {
    "broken": ("is broken", "are broken"),
    "falls short": ("falls short", "fall short"),
    "undecided": ("is undecided", "are undecided"),
    "holds": ("holds", "hold"),
    "skipped": ("is skipped", "are skipped"),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """A run, its thresholds, and what became of them.

    Attributes
    ----------
    run
        Where the run is, as the user named it.
    settings
        The settings in its ``run.json``.
    looks
        How often a threshold may have been judged.
    strict
        Whether an undecided threshold counts as no verdict.
    """

    run: str
    machine: str
    outcomes: tuple[Outcome, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    looks: int = 1
    strict: bool = False

    @property
    def exit_code(self) -> int:
        """See `sparsebench.report.thresholds.exit_code`."""
        return exit_code(self.outcomes, self.strict)


@dataclass(frozen=True, slots=True)
class Line:
    """A threshold in words; what does not apply is empty.

    Attributes
    ----------
    worst
        The worst cell with its value.
    repro
        The command that measures the worst cell again, or the first of those that broke the threshold.
    """

    claim: str
    verdict: Verdict
    limit: str
    measured: str = ""
    interval: str = ""
    made_of: str = ""
    worst: str = ""
    repro: str = ""
    notes: tuple[str, ...] = ()

    @property
    def details(self) -> tuple[str, ...]:
        """What is said below a table, a line each, but for the command."""
        return tuple(filter(None, [f"{self.made_of}; worst: {self.worst}" if self.worst else "", *self.notes]))

    @property
    def sentence(self) -> str:
        """All but the claim in one line, for places that have no table."""
        if not self.measured:
            return f"{self.verdict}: {'; '.join(self.notes)}"
        return f"{self.verdict}: {self.measured} ({self.interval}), limit {self.limit}; {'; '.join(self.details)}"


def lines(checked: Checked) -> list[Line]:
    """Put outcomes into words, in their order."""
    return [_line(outcome, checked) for outcome in checked.outcomes]


def summary(checked: Checked) -> str:
    """Count verdicts: "2 thresholds hold, 1 falls short"."""
    counts = Counter(outcome.verdict for outcome in checked.outcomes)
    parts = [f"{count} {_COUNTED[verdict][count > 1]}" for verdict in _COUNTED if (count := counts[verdict])]
    return f"{len(checked.outcomes)} threshold{'s' if len(checked.outcomes) > 1 else ''}: {', '.join(parts)}"


def _line(outcome: Outcome, checked: Checked) -> Line:
    table = outcome.threshold.table
    show = _SHOW[table.measure]
    limits = [(">=", table.at_least), ("<=", table.at_most)]
    # One line, whatever the file has.
    claim = " ".join(table.claim.split())
    limit = ", ".join(f"{sign} {_as_given(value, show)}" for sign, value in limits if value is not None)
    if outcome.value is None or outcome.worst is None:
        again = _repro(outcome.broken_at, [table.kernel, *table.rivals], checked) if outcome.broken_at else ""
        return Line(claim, outcome.verdict, limit, repro=again, notes=_shortened(outcome.notes))
    cell, count = outcome.worst, len(outcome.cells)
    found = cell.at(confidence_at(table, checked.looks))
    over = f", over {cell.rival}" if cell.rival else ""
    return Line(
        claim,
        outcome.verdict,
        limit,
        measured=show(outcome.value.estimate),
        interval=_interval(outcome.value, show),
        made_of=f"{table.statistic} of {count} case{'s' if count > 1 else ''}",
        worst=f"{show(found.estimate)} ({_interval(found, show)}) at {cell.place}{over}",
        repro=_repro(cell.place, [cell.kernel, *filter(None, [cell.rival])], checked),
        notes=_shortened(outcome.notes),
    )


def _as_given(limit: float, show: Callable[[float], str]) -> str:
    """Return a limit as its file has it, but for units."""
    shown, bare = show(limit), metrics.number(limit)
    return shown.replace(bare, f"{limit:g}") if shown.startswith(bare) and shown[len(bare) :] in ("", "x") else shown


def _repro(place: Place, kernels: Sequence[str], checked: Checked) -> str:
    return repro.command(checked.settings, place.problem, kernels, place.threads, place.level)


def _interval(value: Interval, show: Callable[[float], str]) -> str:
    if value.low == value.high and value.low is not None:
        return "one value"
    return f"{'?' if value.low is None else show(value.low)} to {'?' if value.high is None else show(value.high)}"


def _shortened(notes: Sequence[str], shown: int = 3) -> tuple[str, ...]:
    """Return the first notes on one line each, and how many more there are."""
    said = [" ".join(note.split()) for note in notes[:shown]]
    return (*said, f"and {len(notes) - shown} more like these") if len(notes) > shown else tuple(said)
