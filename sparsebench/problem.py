"""The frozen description of what is computed, and the string from which it can be run again.

A problem string has the form ``op:sizes:pattern+sparsity:dtype[@activation-density][;key=value]...``:

>>> str(Problem.parse("matmul:1024x768x64:complementary/8+0.95:f32"))
'matmul:1024x768x64:complementary/8+0.95:f32'
>>> Problem.parse("conv2d:64x64x3x3x56x56x1:complementary/8+0.95:f32;padding=1").y_shape
(1, 64, 56, 56)

A whole network is named instead of described, ``network:name or file:batch:dtype``, its layers have their own patterns:

>>> Problem.parse("network:gsc:8:f32").y_shape
(8, 12)

Keys that differ from their defaults follow in a fixed order: ``seed``, ``cache``, ``layout``,
``stride``, ``padding``, ``dilation``, ``groups``, ``weights``.
The value of ``weights`` comes last because an address may contain any character.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, get_args

from sparsebench.convolution import Convolution
from sparsebench.errors import InputError
from sparsebench.layouts import Layout, shape_of
from sparsebench.patterns import Block, Complementary, Pattern, Stored, parse_pattern
from sparsebench.window import Window

Op = Literal["matmul", "conv2d", "network"]
Cache = Literal["warm", "cold"]
XLayout = Literal["row", "blocked"]

FORM = (
    "op:sizes:pattern+sparsity:f32, for example matmul:1024x1024x64:complementary/8+0.95:f32 (MxKxN) or"
    " conv2d:64x64x3x3x56x56x1:complementary/8+0.95:f32;padding=1 (out x in x kh x kw x H x W x batch)"
    " or network:gsc:64:f32 (name or file, batch)"
)
# What the sizes of each op are.
SIZES: dict[str, tuple[str, ...]] = {
    "matmul": ("M", "K", "N"),
    "conv2d": ("out", "in", "kh", "kw", "H", "W", "batch"),
}
_STRING = re.compile(
    r"(?P<op>[a-z0-9]+):(?P<sizes>-?\d+(x-?\d+)*):(?P<pattern>[a-z0-9/x-]+)"
    r"\+(?P<sparsity>[-+.0-9e]+):(?P<dtype>[a-z0-9]+)(@(?P<act>[-+.0-9e]+))?(?P<rest>(;.*)?)"
)
_NETWORK = re.compile(
    r"network:(?P<address>[^:;]+):(?P<batch>-?\d+):(?P<dtype>[a-z0-9]+)(;seed=(?P<seed>\d+))?(;weights=(?P<weights>.+))?"
)
_WINDOW = ("stride", "padding", "dilation")
_OPTIONS = ("seed", "cache", "layout", *_WINDOW, "groups")


def _number(value: float) -> str:
    return f"{value:.10g}"


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """What a problem knows of its network: the name or file that it is read from, and its shapes without the batch."""

    address: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Y[M, N] = W[M, K] X[K, N] with W sparse; a convolution of N samples with M filters of K taps each; or a network.

    Of a network, M and K are the numbers of its outputs and inputs, the pattern is "stored" (each layer has its own)
    and the density is that of all its weights together.

    Attributes
    ----------
    conv
        The geometry of op "conv2d", else None.
    net
        The network of op "network", else None; see `of_network`.
    density
        Fraction of W that may be non-zero, in (0, 1].
    act_density
        Fraction of X that is non-zero, in (0, 1].
    x_layout
        "row": X and Y are row-major for every kernel. "blocked": each kernel has them in its own best layout; for ours
        that is `sparsebench.layouts`' column blocks, and conversion is nobody's.
    weights
        Where W comes from: ``random`` or an address that `sparsebench.weights` can read; of a network, an .npz file.
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
    conv: Convolution | None = None
    net: NetworkShape | None = None

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
        self._check_conv()
        self._check_net()

    @classmethod
    def of_network(cls, address: str, batch: int, *, seed: int = 0, weights: str = "random") -> Problem:
        """Return the problem of running a network, by its name or the path of its file, on a batch of inputs.

        Raises
        ------
        InputError
            If there is no such network, or a number is out of range.
        """
        from sparsebench import nets

        net = nets.load(address)
        shape = NetworkShape(address, net.input_shape, net.output_shape)
        return cls(
            op="network",
            M=math.prod(net.output_shape),
            K=math.prod(net.input_shape),
            N=batch,
            pattern=Stored(),
            density=net.density,
            seed=seed,
            weights=weights,
            net=shape,
        )

    def _check_net(self) -> None:
        if (self.net is None) == (self.op == "network"):
            raise InputError(f"op '{self.op}' {'has no' if self.net else 'needs a'} network")
        if self.net is not None and (self.act_density, self.cache, self.x_layout) != (1, "warm", "row"):
            raise InputError("a network's activations are dense or its own layers', its cache is warm, its layout row")

    def _check_conv(self) -> None:
        if (self.conv is None) == (self.op == "conv2d"):
            raise InputError(f"op '{self.op}' {'has no' if self.conv else 'needs a'} geometry of a convolution")
        if self.conv is None:
            return
        if self.conv.taps != self.K:
            raise InputError(f"K is {self.K}; the convolution's filters have {self.conv.taps} taps")
        if self.M % self.conv.groups:
            raise InputError(f"groups is {self.conv.groups}; it must divide the {self.M} filters")
        if self.x_layout != "row":
            raise InputError(f"layout '{self.x_layout}' is for matmul; a convolution's X is NCHW")

    @property
    def columns(self) -> int:
        """Columns of the output that each weight is used for: N, times the pixels of a convolution's output."""
        return self.N if self.conv is None else self.N * self.conv.pixels

    @property
    def x_shape(self) -> tuple[int, ...]:
        """[K, N], [N, channels, height, width], or [N, *the network's input]."""
        if self.net is not None:
            return (self.N, *self.net.input_shape)
        conv = self.conv
        return (self.K, self.N) if conv is None else (self.N, conv.channels, conv.height, conv.width)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """[M, N], [N, filters, height, width], or [N, *the network's output]."""
        if self.net is not None:
            return (self.N, *self.net.output_shape)
        return (self.M, self.N) if self.conv is None else (self.N, self.M, *self.conv.output)

    def x_shape_in(self, layout: Layout) -> tuple[int, ...]:
        """Shape of the array that holds the input in a plan's layout."""
        return shape_of(self.K, self.N, layout) if self.op == "matmul" else self.x_shape

    def y_shape_in(self, layout: Layout) -> tuple[int, ...]:
        """Shape of the array that holds the output in a plan's layout."""
        return shape_of(self.M, self.N, layout) if self.op == "matmul" else self.y_shape

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of the problem string, named by `SIZES`."""
        if self.conv is None:
            return self.M, self.K, self.N
        return self.M, self.conv.channels, *self.conv.window.kernel, self.conv.height, self.conv.width, self.N

    @property
    def shape(self) -> str:
        """The problem without N, for tables: ``1024x1024``, ``64x64x3x3@56x56``, ``128x128x3x3@28x28/2``, ``gsc``."""
        if self.net is not None:
            return PurePath(self.net.address).stem
        if self.conv is None:
            return f"{self.M}x{self.K}"
        sizes, window = [str(size) for size in self.sizes], self.conv.window
        label = f"{'x'.join(sizes[:4])}@{'x'.join(sizes[4:6])}"
        label += "" if window.stride == (1, 1) else f"/{_sides(window.stride)}"
        label += "" if window.dilation == (1, 1) else f" dilated {_sides(window.dilation)}"
        return label if self.conv.groups == 1 else f"{label} in {self.conv.groups} groups"

    @property
    def overlay(self) -> int | None:
        """Kernels packed together (1/density); None for patterns that do not overlay."""
        return self.pattern.overlay(self.density)

    def __str__(self) -> str:
        if self.net is None:
            sizes = "x".join(map(str, self.sizes))
            text = f"{self.op}:{sizes}:{self.pattern}+{_number(1 - self.density)}:{self.dtype}"
        else:
            text = f"{self.op}:{self.net.address}:{self.N}:{self.dtype}"
        if self.act_density != 1:
            text += f"@{_number(self.act_density)}"
        if self.seed:
            text += f";seed={self.seed}"
        if self.cache != "warm":
            text += f";cache={self.cache}"
        if self.x_layout != "row":
            text += f";layout={self.x_layout}"
        if self.conv is not None:
            for name in _WINDOW:
                if getattr(self.conv.window, name) != getattr(Window((1, 1)), name):
                    text += f";{name}={_sides(getattr(self.conv.window, name))}"
            if self.conv.groups != 1:
                text += f";groups={self.conv.groups}"
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
        if text.strip().startswith("network:"):
            return cls._parse_network(text)
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
            if not equals or key not in _OPTIONS:
                known = ", ".join(f"{name}=" for name in _OPTIONS)
                raise InputError(f"problem '{text}': '{item}' is not one of {known}, weights=")
            options[key] = value
        try:
            seed = int(options.get("seed", "0"))
        except ValueError:
            raise InputError(f"problem '{text}': seed '{options['seed']}' is not a whole number") from None
        M, K, N, conv = _geometry(text, match["op"], match["sizes"], options)
        return cls(
            op=match["op"],  # type: ignore[arg-type]
            M=M,
            K=K,
            N=N,
            pattern=parse_pattern(match["pattern"]),
            density=density,
            dtype=match["dtype"],  # type: ignore[arg-type]
            act_density=act_density,
            seed=seed,
            cache=options.get("cache", "warm"),  # type: ignore[arg-type]
            x_layout=options.get("layout", "row"),  # type: ignore[arg-type]
            weights=address or "random",
            conv=conv,
        )

    @classmethod
    def _parse_network(cls, text: str) -> Problem:
        match = _NETWORK.fullmatch(text.strip())
        if match is None or match["dtype"] != "f32":
            raise InputError(
                f"problem '{text}' does not have the form network:name or file:batch:f32, then perhaps ;seed=0"
                " and ;weights=FILE.npz"
            )
        return cls.of_network(
            match["address"],
            int(match["batch"]),
            seed=int(match["seed"] or 0),
            weights=match["weights"] or "random",
        )


def _sides(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _pair(text: str, name: str, value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", value)
    if match is None:
        raise InputError(f"problem '{text}': {name} '{value}' is neither a number nor vertical x horizontal, as 2x1")
    return int(match[1]), int(match[2] or match[1])


def _geometry(text: str, op: str, sizes: str, options: dict[str, str]) -> tuple[int, int, int, Convolution | None]:
    """Read (M, K, N, conv) from the sizes and options of a problem string."""
    if op not in SIZES:
        raise InputError(f"op '{op}' is not known; known: {', '.join(SIZES)}")
    numbers = [int(number) for number in sizes.split("x")]
    if len(numbers) != len(SIZES[op]):
        raise InputError(f"problem '{text}': {op} has {len(SIZES[op])} sizes, {' x '.join(SIZES[op])}; got {sizes}")
    window = {name: _pair(text, name, options[name]) for name in _WINDOW if name in options}
    if op == "matmul":
        if "groups" in options or window:
            raise InputError(f"problem '{text}': {next(iter(window), 'groups')} is for conv2d")
        return numbers[0], numbers[1], numbers[2], None
    out, channels, kh, kw, height, width, batch = numbers
    groups = _pair(text, "groups", options.get("groups", "1"))[0]
    conv = Convolution(channels, height, width, Window((kh, kw), **window), groups)
    return out, conv.taps, batch, conv


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
        "shape": problem.shape,
        "pixels": 1 if problem.conv is None else problem.conv.pixels,
    }
