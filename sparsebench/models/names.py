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
