"""How a kernel is drawn: its format sets the colour, whose it is sets the marker and the dashes.

Nothing is said by colour alone. Colours are those of Okabe & Ito, "Color Universal Design" (2008), which colour-blind
eyes tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparsebench.report.kernel_kinds import storage

# Black is the foreground: a page in the dark has it white.
COLOURS = ("#000000", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#56B4E9")
_KNOWN = {"dense": 0, "csr": 1, "block": 2, "complementary": 3, "ss": 4, "sparse-dense": 3, "sparse-sparse": 4}
_SPARE = (5, 6)
# Dashes in units of length of an SVG and marker, of ours, MKL's, SciPy's and NumPy's, engines', and others' kernels.
_OWNERS = {
    "": ("", "circle"),
    "mkl": ("6 3", "square"),
    "scipy": ("2 2", "triangle"),
    "numpy": ("2 2", "triangle"),
    "onnxruntime": ("10 3", "down"),
    "openvino": ("10 3 2 3 2 3", "bar"),
}
_OTHERS = ("8 3 2 3", "diamond")
MARKERS = {"circle": "o", "square": "s", "triangle": "^", "down": "v", "bar": "d", "diamond": "D"}


@dataclass(frozen=True, slots=True)
class Style:
    """Index in `COLOURS`, dash lengths ("" is solid) and a key of `MARKERS`."""

    colour: int
    dash: str
    marker: str


# What the chart of peers calls the best of each kind, whichever kernel that is.
BEST_DENSE, BEST_SPARSE, BEST_OURS = "best dense rival", "best sparse rival", "our best"
ROLES = {BEST_DENSE: Style(0, "", "square"), BEST_SPARSE: Style(1, "", "diamond"), BEST_OURS: Style(3, "", "circle")}


def styles(kernels: Sequence[str]) -> dict[str, Style]:
    """Return a style for each kernel; the same kernel has the same in every chart of the same kernels."""
    unknown = [name for name in dict.fromkeys(map(storage, kernels)) if name not in _KNOWN]
    colours = _KNOWN | {name: _SPARE[number % len(_SPARE)] for number, name in enumerate(unknown)}
    return {name: Style(colours[storage(name)], *_owner(name)) for name in kernels}


def _owner(kernel: str) -> tuple[str, str]:
    if "-" not in kernel or kernel.startswith(("net-", "complementary")):
        return _OWNERS[""]
    return _OWNERS.get(kernel.partition("-")[0], _OTHERS)
