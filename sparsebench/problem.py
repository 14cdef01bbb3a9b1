"""The frozen description of what is computed, and the string from which it can be run again.

A problem string has the form ``op:MxKxN:pattern+sparsity:dtype[@activation-density][;key=value]...``:

>>> str(Problem.parse("matmul:1024x768x64:complementary/8+0.95:f32"))
'matmul:1024x768x64:complementary/8+0.95:f32'

Keys that differ from their defaults follow in a fixed order: ``seed``, ``cache``, ``layout``, ``weights``.
The value of ``weights`` comes last because an address may contain any character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from sparsebench.errors import InputError
from sparsebench.patterns import Block, Complementary, Pattern, parse_pattern

Op = Literal["matmul"]
Cache = Literal["warm", "cold"]
XLayout = Literal["row", "blocked"]

FORM = "op:MxKxN:pattern+sparsity:f32, for example matmul:1024x1024x64:complementary/8+0.95:f32"
_STRING = re.compile(
    r"(?P<op>[a-z0-9]+):(?P<M>-?\d+)x(?P<K>-?\d+)x(?P<N>-?\d+):(?P<pattern>[a-z0-9/x-]+)"
    r"\+(?P<sparsity>[-+.0-9e]+):(?P<dtype>[a-z0-9]+)(@(?P<act>[-+.0-9e]+))?(?P<rest>(;.*)?)"
)


def _number(value: float) -> str:
    return f"{value:.10g}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Y[M, N] = W[M, K] X[K, N] with W sparse, or another op of the same kind.

    Attributes
    ----------
    density
        Fraction of W that may be non-zero, in (0, 1].
    act_density
        Fraction of X that is non-zero, in (0, 1].
    x_layout
        "row": X and Y are row-major for every kernel. "blocked": each kernel has them in its own best layout; for ours
        that is `sparsebench.layouts`' column blocks, and conversion is nobody's.
    weights
        Where W comes from: ``random`` or an address that `sparsebench.weights` can read.
    """

    op: Op
    M: int
    K: int
    N: int
    pattern: Pattern
    density: float
    dtype: Literal["f32"] = "f32"
    act_density: float = 1.0
    seed: int = 0
    cache: Cache = "warm"
    x_layout: XLayout = "row"
    weights: str = field(default="random")

    def __post_init__(self) -> None:
        if self.op not in get_args(Op):
            raise InputError(f"op '{self.op}' is not known; known: {', '.join(get_args(Op))}")
        for axis in ("M", "K", "N"):
            if getattr(self, axis) < 1:
                raise InputError(f"{axis} is {getattr(self, axis)}; it must be at least 1")
        if not 0 < self.density <= 1:
            raise InputError(f"density is {_number(self.density)}; it must lie in (0, 1]")
        if not 0 < self.act_density <= 1:
            raise InputError(f"act_density is {_number(self.act_density)}; it must lie in (0, 1]")
        if self.dtype != "f32":
            raise InputError(f"dtype '{self.dtype}' is not known; known: f32")
        if self.cache not in get_args(Cache):
            raise InputError(f"cache '{self.cache}' is not known; known: {', '.join(get_args(Cache))}")
        if self.x_layout not in get_args(XLayout):
            raise InputError(f"layout '{self.x_layout}' is not known; known: {', '.join(get_args(XLayout))}")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; it must be 0 or greater")
        self.pattern.check(self.density)

    @property
    def overlay(self) -> int | None:
        """Kernels packed together (1/density); None for patterns that do not overlay."""
        return self.pattern.overlay(self.density)

    def __str__(self) -> str:
        text = f"{self.op}:{self.M}x{self.K}x{self.N}:{self.pattern}+{_number(1 - self.density)}:{self.dtype}"
        if self.act_density != 1:
            text += f"@{_number(self.act_density)}"
        if self.seed:
            text += f";seed={self.seed}"
        if self.cache != "warm":
            text += f";cache={self.cache}"
        if self.x_layout != "row":
            text += f";layout={self.x_layout}"
        if self.weights != "random":
            text += f";weights={self.weights}"
        return text

    @classmethod
    def parse(cls, text: str) -> Problem:
        """Read a problem string.

        Raises
        ------
        InputError
            If the string does not have the form of a problem, or a part of it is out of range.
        """
        match = _STRING.fullmatch(text.strip())
        if match is None:
            raise InputError(f"problem '{text}' does not have the form {FORM}")
        try:
            # Rounded because 1 - 0.95 is not 0.05 in binary.
            density = round(1 - float(match["sparsity"]), 12)
            act_density = float(match["act"]) if match["act"] else 1.0
        except ValueError as error:
            raise InputError(f"problem '{text}': {error}; the form is {FORM}") from None
        head, _, address = match["rest"].partition(";weights=")
        options: dict[str, str] = {}
        for item in filter(None, head.split(";")):
            key, equals, value = item.partition("=")
            if not equals or key not in ("seed", "cache", "layout"):
                raise InputError(f"problem '{text}': '{item}' is not one of seed=, cache=, layout=, weights=")
            options[key] = value
        try:
            seed = int(options.get("seed", "0"))
        except ValueError:
            raise InputError(f"problem '{text}': seed '{options['seed']}' is not a whole number") from None
        return cls(
            op=match["op"],  # type: ignore[arg-type]
            M=int(match["M"]),
            K=int(match["K"]),
            N=int(match["N"]),
            pattern=parse_pattern(match["pattern"]),
            density=density,
            dtype=match["dtype"],  # type: ignore[arg-type]
            act_density=act_density,
            seed=seed,
            cache=options.get("cache", "warm"),  # type: ignore[arg-type]
            x_layout=options.get("layout", "row"),  # type: ignore[arg-type]
            weights=address or "random",
        )


def columns(problem: Problem) -> dict[str, Any]:
    """Return what results and ``--where`` call the parts of a problem; `pattern` is the bare name."""
    pattern = problem.pattern
    return {
        "op": problem.op,
        "pattern": pattern.name,
        "overlay": problem.overlay,
        "lanes": pattern.lanes if isinstance(pattern, Complementary) else None,
        "arrangement": pattern.arrangement if isinstance(pattern, Complementary) else None,
        "block": f"{pattern.rows}x{pattern.cols}" if isinstance(pattern, Block) else None,
        "weights": problem.weights,
        "density": problem.density,
        "act_density": problem.act_density,
        "M": problem.M,
        "K": problem.K,
        "N": problem.N,
        "cache": problem.cache,
        "layout": problem.x_layout,
    }
