"""Logarithmic axes: where values fall, and which of them have a tick."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0))
_FEWEST_TICKS = 3


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values in [low, high] to [start, end], both of which may fall."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a positive value, of one outside the range that of the nearest end."""
        inside = min(max(value, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def span(values: Iterable[float], room: float = 1.15) -> tuple[float, float]:
    """Return a range for positive values with some room at both ends; at least half an octave each way."""
    known = list(values)
    low, high = min(known) / room, max(known) * room
    if high / low < 2:
        middle = math.sqrt(low * high)
        low, high = middle / math.sqrt(2), middle * math.sqrt(2)
    return low, high


def ticks(low: float, high: float) -> list[float]:
    """Return round values within a range, of the coarsest kind of which it has three."""
    found: list[float] = []
    for mantissas in _MANTISSAS:
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [m * 10.0**e for e in exponents for m in mantissas if low <= m * 10.0**e <= high]
        if len(found) >= _FEWEST_TICKS:
            break
    return found or [low, high]


def apart(values: Sequence[float], place: Callable[[float], float], room: Callable[[float], float]) -> list[float]:
    """Return the values whose labels, as long as `room` says, do not touch; the first of those that would is kept."""
    kept: list[float] = []
    for value in values:
        if not kept or abs(place(value) - place(kept[-1])) >= (room(value) + room(kept[-1])) / 2:
            kept.append(value)
    return kept
