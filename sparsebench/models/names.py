"""Names of layers in a listing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def each_use(names: Sequence[str]) -> list[str]:
    """Tell several uses of one tensor apart: the first has its name, the others say which use they are."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} (use {seen[name]})")
    return found


def shortened(name: str, width: int) -> str:
    """Return a name of at most `width` characters, without its middle where it is longer."""
    if len(name) <= width:
        return name
    head = (width - 1) // 2
    return f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
