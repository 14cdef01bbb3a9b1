"""What to say about a name that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

_LISTED = 6


def nearest(wanted: str, names: Sequence[str]) -> str:
    """Return the end of a message: the names most like `wanted`, or the first few where none is like it."""
    if not names:
        return "there is none"
    close = get_close_matches(wanted, names, n=3, cutoff=0.5)
    return f"nearest: {', '.join(close)}" if close else f"there are: {listed(names)}"


def listed(names: Sequence[str]) -> str:
    """Return the first few names and how many more there are."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
