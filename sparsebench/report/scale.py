"""Axes, logarithmic or linear: where values fall, and which of them have a tick."""

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
    linear: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value, positive unless linear; of one outside the range that of the nearest end."""
        inside = min(max(value, self.low), self.high)
        if self.linear:
            share = (inside - self.low) / (self.high - self.low)
        else:
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


def linear_span(values: Iterable[float], room: float = 0.06) -> tuple[float, float]:
    """Return a range for values on a linear axis, with some room at both ends."""
    known = list(values)
    low, high = min(known), max(known)
    margin = room * ((high - low) or abs(high) or 1.0)
    return low - margin, high + margin


def linear_ticks(low: float, high: float) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten within a range, of the coarsest of which there are three."""
    exponent = math.ceil(math.log10(high - low))
    for step in (m * 10.0**e for e in (exponent, exponent - 1, exponent - 2) for m in (5.0, 2.0, 1.0)):
        found = [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
        if len(found) >= _FEWEST_TICKS:
            return found
    return [low, high]


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
