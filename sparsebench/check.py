"""Checks a run against thresholds, and measures again what stays undecided."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sparsebench.bench import machine
from sparsebench.bench.plan import RunPlan, changed_since, describe, repeat_plan
from sparsebench.errors import InputError
from sparsebench.noise import Noise
from sparsebench.problem import Problem, columns
from sparsebench.report.thresholds import Outcome, Verdict, evaluate, unsettled
from sparsebench.results import COLUMNS, CaseResult
from sparsebench.run_folder import RunFolder
from sparsebench.suite import Group
from sparsebench.suite.thresholds import Threshold, of_suites, read_thresholds
from sparsebench.toml_tables import nearest
from sparsebench.where import chosen

# Executes a plan into a new folder and returns its results.
Measure = Callable[[RunPlan, RunFolder], Sequence[CaseResult]]


def thresholds_for(suites: Mapping[str, str], files: Sequence[str]) -> list[Threshold]:
    """Return the thresholds in files; without any, those in the texts of suites, by their names.

    Raises
    ------
    InputError
        If there are none, or one is wrong.
    """
    return read_thresholds(files) if files else of_suites(suites)


def check(
    folder: RunFolder,
    thresholds: Sequence[Threshold],
    *,
    confirm: int = 0,
    measure: Measure | None = None,
    noise: Noise | None = None,
) -> list[Outcome]:
    """Judge thresholds by a run that is complete.

    Parameters
    ----------
    confirm
        How often the cases of undecided thresholds are measured again, their rounds being added to the run's. One that
        falls short is so measured once more, in another process, before that is its verdict. What is measured is kept
        in folders ``confirm-1`` and so on within the run's.
    measure
        Executes a plan; needed with `confirm`.
    noise
        What is known of the noise of cases on the run's machine.

    Raises
    ------
    InputError
        If the run is not complete, was made in other circumstances than those here and `confirm` is given, or the
        ``where`` of a threshold is no condition.
    """
    if not folder.complete:
        raise InputError(
            f"the run in '{folder.path}' is not complete, and what is missing is no pass; finish it with:"
            f" sparsebench run --resume {folder.path}"
        )
    if confirm and (differing := list(changed_since(folder.run))):
        raise InputError(
            f"--confirm measures here and now, but the run in '{folder.path}' is of another {' and '.join(differing)}"
        )
    key = machine.key_hash(folder.run["machine"])
    results = folder.results()
    looks = 1 + confirm
    outcomes = evaluate(results, thresholds, key, looks, noise)
    before: list[Verdict | None] = [None] * len(outcomes)
    for _ in range(confirm if measure else 0):
        open_ = [_is_open(outcome.verdict, earlier) for outcome, earlier in zip(outcomes, before, strict=True)]
        again = [outcome for outcome, is_open in zip(outcomes, open_, strict=True) if is_open]
        if not again:
            break
        results += _measure_again(folder, again, looks, measure)
        before = [outcome.verdict for outcome in outcomes]
        judged = iter(evaluate(results, [outcome.threshold for outcome in again], key, looks, noise))
        outcomes = [next(judged) if is_open else outcome for outcome, is_open in zip(outcomes, open_, strict=True)]
    return outcomes


def _is_open(verdict: Verdict, before: Verdict | None) -> bool:
    """Whether more rounds are wanted: one process may be slow for how its memory lies, so two must fall short."""
    return verdict == "undecided" or (verdict == "falls short" and before != "falls short")


def _measure_again(
    folder: RunFolder, outcomes: Sequence[Outcome], looks: int, measure: Measure | None
) -> list[CaseResult]:
    assert measure is not None
    plan = repeat_plan(folder, list(_groups(outcomes, looks)))
    number = 1 + sum(path.is_dir() for path in folder.path.glob("confirm-[0-9]*"))
    again = RunFolder.create(folder.path / f"confirm-{number}", describe(plan, folder.run["argv"]))
    return list(measure(plan, again))


def _groups(outcomes: Sequence[Outcome], looks: int) -> Iterator[Group]:
    """Yield a group for each place at which rounds may decide something, with all kernels that are compared there."""
    kernels: dict[Any, dict[str, None]] = {}
    for outcome in outcomes:
        table = outcome.threshold.table
        for cell in unsettled(outcome, looks):
            kernels.setdefault(cell.place, {}).update(dict.fromkeys((*table.rivals, table.kernel)))
    for place, names in kernels.items():
        first = next(iter(names))
        yield Group(place.suite, Problem.parse(place.problem), tuple(names), place.threads, place.level, first)


def foresee(thresholds: Sequence[Threshold], groups: Sequence[Group]) -> None:
    """Refuse, before anything is measured, thresholds that these groups leave without a case.

    Raises
    ------
    InputError
        If a threshold matches no case that is planned, or a rival of it is not.
    """
    import pandas as pd

    cases = pd.DataFrame(
        [
            {"suite": group.suite, "problem": str(group.problem), "kernel": name, "threads": group.threads}
            | {"level": group.level, "baseline": group.baseline}
            | columns(group.problem)
            for group in groups
            for name in group.kernels
        ]
    )
    for threshold in thresholds:
        _foresee(threshold, cases)


def _foresee(threshold: Threshold, cases: Any) -> None:
    table, named = threshold.table, f"{threshold.origin}, threshold '{threshold.table.claim}'"
    known = list(dict.fromkeys(cases["kernel"]))
    for name in (table.kernel, *table.rivals):
        if name not in known:
            raise InputError(f"{named}: kernel '{name}' is not among those to be run{nearest(name, known)}")
    # What only a measured case has cannot be looked up yet.
    measured = set(COLUMNS) - set(cases.columns)
    if table.where and not set(re.findall(r"[A-Za-z_]\w*", table.where)) & measured:
        holds = chosen(cases, table.where, f"{named}: where") & (cases["kernel"] == table.kernel)
        if threshold.suite is not None:
            holds &= cases["suite"] == threshold.suite
        if not holds.any():
            raise InputError(f"{named}: where '{table.where}' holds for none of the cases to be run")
