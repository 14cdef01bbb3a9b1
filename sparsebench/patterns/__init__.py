"""Where the non-zeros sit: one file per pattern."""

from __future__ import annotations

from sparsebench.errors import InputError
from sparsebench.patterns.base import Kept, Mask, Pattern, kept
from sparsebench.patterns.block import Block
from sparsebench.patterns.complementary import Complementary
from sparsebench.patterns.stored import Stored
from sparsebench.patterns.unstructured import Unstructured

PATTERNS: dict[str, type[Pattern]] = {kind.name: kind for kind in (Unstructured, Block, Complementary, Stored)}


def parse_pattern(label: str) -> Pattern:
    """Read a pattern's label, such as ``complementary/8`` or ``block/4x4``.

    Raises
    ------
    InputError
        If the name or one of its parameters is not known.
    """
    name, *parameters = label.split("/")
    if name not in PATTERNS:
        raise InputError(f"pattern '{name}' is not known; known: {', '.join(PATTERNS)}")
    return PATTERNS[name].from_label(parameters)


__all__ = [
    "PATTERNS",
    "Block",
    "Complementary",
    "Kept",
    "Mask",
    "Pattern",
    "Stored",
    "Unstructured",
    "kept",
    "parse_pattern",
]
