"""Which cases a threshold is about, and what is in the way of judging it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from sparsebench.noise import Noise
from sparsebench.report.threshold_cells import Cell, Place, metric_cell, place_of, ratio_cell
from sparsebench.results import COLUMNS, CaseResult
from sparsebench.run_folder import Key, derive_rows
from sparsebench.suite.thresholds import Threshold
from sparsebench.toml_tables import nearest
from sparsebench.where import chosen


@dataclass(slots=True)
class Match:
    """What a threshold is about.

    Attributes
    ----------
    broken
        Why it cannot be judged: cases without a right and timed answer, or no case at all; empty if it can.
    broken_at
        Where the first of these is, if at one place.
    wrong
        Whether one of these is a wrong answer.
    remarks
        What a reader should know of the cells: rivals that are absent, cases that are left out.
    """

    cells: list[Cell] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    broken_at: Place | None = None
    wrong: bool = False
    remarks: list[str] = field(default_factory=list)

    def breaks(self, why: str, place: Place | None = None) -> None:
        """Note, once, what is in the way."""
        if why not in self.broken:
            self.broken.append(why)
        self.broken_at = self.broken_at or place


class Evidence:
    """All results by case, and the frame in which ``where`` is looked up.

    A case that was measured several times is matched by its first record.
    """

    def __init__(self, results: Sequence[CaseResult], noise: Noise | None = None) -> None:
        self._noise = noise
        first: dict[Key, CaseResult] = {}
        self._measured: dict[tuple[Place, str], list[CaseResult]] = {}
        for result in results:
            first.setdefault(result.key, result)
            self._measured.setdefault((place_of(result), result.kernel), []).append(result)
        self._first = list(first.values())
        self._frame = pd.DataFrame(derive_rows(self._first), columns=list(COLUMNS))

    def match(self, threshold: Threshold) -> Match:
        """Return what a threshold is about.

        Raises
        ------
        InputError
            If its ``where`` is no condition over the columns.
        """
        table, found = threshold.table, Match()
        holds = self._frame["kernel"] == table.kernel
        if threshold.suite is not None:
            holds &= self._frame["suite"] == threshold.suite
        if not holds.any():
            known = list(dict.fromkeys(self._frame["kernel"]))
            found.breaks(f"kernel '{table.kernel}' was not run{nearest(table.kernel, known)}")
            return found
        if table.where:
            holds &= chosen(self._frame, table.where, f"{threshold.origin}, threshold '{table.claim}': where")
        left_out: Counter[str] = Counter()
        for result, take in zip(self._first, holds, strict=True):
            if take:
                self._add(threshold, place_of(result), found, left_out)
        found.remarks = list(dict.fromkeys(found.remarks))
        found.remarks += [f"{count} case{'s' if count > 1 else ''} left out: {why}" for why, count in left_out.items()]
        if noisy := sum(cell.noisy for cell in found.cells):
            found.remarks.append(f"the noise of {noisy} of {len(found.cells)} cases is in the interval")
        if not found.cells and not found.broken:
            found.breaks("no case that it matches can be measured" if holds.any() else "it matches no case")
        return found

    def _add(self, threshold: Threshold, place: Place, found: Match, left_out: Counter[str]) -> None:
        """Add the cell of one case, or what is in its way."""
        kernel, rivals = threshold.table.kernel, threshold.table.rivals
        if self._status(place, kernel) == "unsupported":
            # No case of this kernel: the claim is not about it.
            return
        if not self._sound(place, kernel, found):
            return
        if not rivals:
            metric = threshold.table.measure
            cell = metric_cell(self._measured[place, kernel], metric, self._noise)
            nothing = f"{kernel} has no {metric} at {place}"
        else:
            able = self._able(place, rivals, found)
            if able is None:
                return
            if not able:
                left_out[f"{' and '.join(rivals)} {'do' if len(rivals) > 1 else 'does'} not take the problem"] += 1
                return
            theirs = [self._measured[place, rival] for rival in able]
            cell = ratio_cell(self._measured[place, kernel], theirs, self._noise)
            nothing = f"{kernel} and {', '.join(able)} were not measured in the same rounds at {place}"
        if cell is None:
            found.breaks(nothing, place)
        else:
            found.cells.append(cell)

    def _status(self, place: Place, kernel: str) -> str:
        """Return the status of a case, the first that is not ok if it was measured several times."""
        statuses = [result.status for result in self._measured.get((place, kernel), ())]
        return next((status for status in statuses if status != "ok"), "ok") if statuses else "not run"

    def _sound(self, place: Place, kernel: str, found: Match) -> bool:
        """Whether a case has a right and timed answer; if not, that is noted."""
        status = self._status(place, kernel)
        errors = [case.error for case in self._measured.get((place, kernel), ()) if case.status != "ok"]
        if status != "ok":
            found.breaks(f"{kernel} {status} at {place}" + (f": {errors[0]}" if errors else ""), place)
            found.wrong |= status == "wrong"
        return status == "ok"

    def _able(self, place: Place, rivals: Sequence[str], found: Match) -> list[str] | None:
        """Return the rivals that were measured here, none if none takes the problem; None if one should have been."""
        statuses = {rival: self._status(place, rival) for rival in rivals}
        absent = [
            f"{rival} is unavailable ({self._measured[place, rival][0].error})"
            for rival, status in statuses.items()
            if status == "unavailable"
        ]
        able = [rival for rival, status in statuses.items() if status not in ("unavailable", "unsupported")]
        if absent and not able:
            for why in absent:
                found.breaks(why)
            return None
        found.remarks += absent
        # A list: every one is looked at, so that all that is in the way is said.
        sound = [self._sound(place, rival, found) for rival in able]
        return able if all(sound) else None
