"""Judges thresholds: pure functions from results to verdicts; nothing is measured or printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sparsebench.bench.over_cases import over_cases
from sparsebench.bench.stats import Interval
from sparsebench.errors import EXIT_FAILED, EXIT_OK, EXIT_THRESHOLD, EXIT_UNDECIDED, EXIT_WRONG
from sparsebench.noise import Noise
from sparsebench.report.threshold_cells import ONCE, Cell, Place
from sparsebench.report.threshold_match import Evidence
from sparsebench.results import CaseResult
from sparsebench.suite.thresholds import Threshold, ThresholdTable

Verdict = Literal["holds", "falls short", "undecided", "broken", "skipped"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a threshold.

    Attributes
    ----------
    value
        The statistic with its interval; None where it is broken or skipped.
    cells
        The cases that it is made of.
    worst
        That of them which is nearest to breaking the limit, or farthest beyond.
    notes
        What is in the way of a verdict, and what a reader should know of the cells.
    broken_at
        Where it is broken first, if at one place.
    wrong
        Whether it is broken by a wrong answer.
    """

    threshold: Threshold
    verdict: Verdict
    value: Interval | None = None
    cells: tuple[Cell, ...] = ()
    worst: Cell | None = None
    notes: tuple[str, ...] = ()
    broken_at: Place | None = None
    wrong: bool = False


def evaluate(
    results: Sequence[CaseResult],
    thresholds: Sequence[Threshold],
    machine: str,
    looks: int = 1,
    noise: Noise | None = None,
) -> list[Outcome]:
    """Judge thresholds by a run's results, in their order.

    Parameters
    ----------
    results
        Cases, some perhaps measured several times: their rounds are pooled.
    machine
        Key of the machine that measured them; claims about another are skipped.
    looks
        How often a threshold may be judged before it has a verdict. Each time it is, its interval misses the truth with
        a probability of (1 - confidence) / looks, so that in all its confidence is as claimed (Bonferroni).
    noise
        What is known of the noise of cases on that machine: intervals hold it.

    Raises
    ------
    InputError
        If the ``where`` of a threshold is no condition over the columns.
    """
    evidence = Evidence(results, noise)
    return [_judge(threshold, evidence, machine, looks) for threshold in thresholds]


def _judge(threshold: Threshold, evidence: Evidence, machine: str, looks: int) -> Outcome:
    table = threshold.table
    if table.machine not in (None, machine):
        return Outcome(threshold, "skipped", notes=(f"for machine {table.machine}; this run is of {machine}",))
    match = evidence.match(threshold)
    if match.broken:
        notes = (*match.broken, *match.remarks)
        return Outcome(threshold, "broken", notes=notes, broken_at=match.broken_at, wrong=match.wrong)
    confidence = confidence_at(table, looks)
    value = over_cases([cell.at for cell in match.cells], table.statistic, confidence)
    worst = max(match.cells, key=lambda cell: _excess(cell.at(confidence).estimate, table))
    once = [f"{table.measure} is timed once a run: judged by its value"] if table.measure in ONCE else []
    notes = (*once, *_few(value), *match.remarks)
    return Outcome(threshold, _verdict(value, table), value, tuple(match.cells), worst, notes)


def confidence_at(table: ThresholdTable, looks: int) -> float:
    """Return the confidence of one of several looks."""
    return 1 - (1 - table.confidence) / looks


def _few(value: Interval) -> list[str]:
    if value.low is None or value.high is None:
        return ["a limit cannot be told from so few rounds: --confirm measures more"]
    return []


def _verdict(value: Interval, table: ThresholdTable) -> Verdict:
    """Compare an interval with the limits: beyond one as a whole, within both as a whole, or neither."""
    least, most = table.at_least, table.at_most
    if least is not None and value.high is not None and value.high < least:
        return "falls short"
    if most is not None and value.low is not None and value.low > most:
        return "falls short"
    above = least is None or (value.low is not None and value.low >= least)
    below = most is None or (value.high is not None and value.high <= most)
    return "holds" if above and below else "undecided"


def _excess(value: float, table: ThresholdTable) -> float:
    """How far a value is beyond a limit, as a factor; below 1 within both."""
    beyond = [table.at_least / value] if table.at_least is not None else []
    return max([*beyond, *([value / table.at_most] if table.at_most is not None else [])])


def unsettled(outcome: Outcome, looks: int) -> list[Cell]:
    """Return the cells of a threshold that does not hold by which more rounds may decide it.

    Of a worst or best cell those whose own interval is not within the limits; of other statistics all.
    """
    table = outcome.threshold.table
    if table.statistic not in ("min", "max"):
        return list(outcome.cells)
    # As sure of each as `over_cases` has to be of the one that it takes.
    confidence = 1 - (1 - confidence_at(table, looks)) / len(outcome.cells)
    return [cell for cell in outcome.cells if _verdict(cell.at(confidence), table) != "holds"]


def shortfall(outcome: Outcome) -> float:
    """Return by what factor the value is beyond its limit; below 1 within it."""
    return _excess(outcome.value.estimate, outcome.threshold.table) if outcome.value else 0.0


def severity(outcome: Outcome) -> tuple[int, float]:
    """Return a key by which the worst outcome comes first: wrong, broken, short by most, undecided, then the rest."""
    ranks = {"broken": 1, "falls short": 2, "undecided": 3, "skipped": 4, "holds": 5}
    return (0 if outcome.wrong else ranks[outcome.verdict]), -shortfall(outcome)


def exit_code(outcomes: Sequence[Outcome], strict: bool = False) -> int:
    """Exit code of a check, the gravest of its outcomes.

    3 for a wrong answer, 4 for a threshold that could not be measured, 1 for one that falls short, 5 for no verdict: an
    undecided threshold where `strict`, or where all are skipped. Else 0.
    """
    verdicts = {outcome.verdict for outcome in outcomes}
    if any(outcome.wrong for outcome in outcomes):
        return EXIT_WRONG
    if "broken" in verdicts:
        return EXIT_FAILED
    if "falls short" in verdicts:
        return EXIT_THRESHOLD
    if verdicts <= {"skipped"} or (strict and "undecided" in verdicts):
        return EXIT_UNDECIDED
    return EXIT_OK
