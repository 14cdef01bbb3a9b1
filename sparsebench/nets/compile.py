"""Compiles a network into native steps over one arena: no allocation and no Python in a call."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sparsebench import isa, registry
from sparsebench.bench.sampler import quickest
from sparsebench.conv_plan import most_winners
from sparsebench.convolution import Convolution
from sparsebench.errors import InputError
from sparsebench.k_winners import prepare_global, prepare_local
from sparsebench.layouts import Layout
from sparsebench.memory import ALIGNMENT, aligned_copy, aligned_empty
from sparsebench.nets.base import Layer, Shape
from sparsebench.nets.layers import GELU, Conv2d, Flatten, KWinners, KWinners2d, Linear, MaxPool2d, ReLU
from sparsebench.operands import Weights
from sparsebench.patterns import Mask, Pattern, Unstructured
from sparsebench.problem import Problem
from sparsebench.window import Window

if TYPE_CHECKING:
    from sparsebench.nets.network import Sequential

Mode = Literal["dense", "sparse-dense", "sparse-sparse"]
MODES: tuple[Mode, ...] = get_args(Mode)
Floats = NDArray[np.float32]
# Most inputs that a program takes at a time.
MOST_AT_ONCE = 8
# Patterns with a kernel of their own, of the same name; any other pattern is CSR's.
WITH_KERNEL = ("complementary", "block")


@dataclass(frozen=True, eq=False, slots=True)
class Stage:
    """What computes one layer, or several that are fused: native steps from one array to another.

    Attributes
    ----------
    names
        Of the layers.
    kernel
        What multiplies, or "" for layers without weights.
    """

    names: tuple[str, ...]
    steps: tuple[Any, ...]
    source: Floats
    target: Floats
    kernel: str = ""
    packed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StageReport:
    """A row of `CompiledNetwork.report`.

    Attributes
    ----------
    inputs
        How many the program takes at a time: the first program's part of the batch.
    seconds
        Mean time for so many.
    reached
        Fraction of the input that was not zero, at the last run.
    macs
        Multiply-adds for one input, by the weights that the kernel multiplies by.
    """

    names: tuple[str, ...]
    kernel: str
    inputs: int
    seconds: float
    reached: float
    macs: int
    packed_bytes: int


@dataclass(eq=False)
class CompiledNetwork:
    """A network ready to run, of a fixed batch, mode and number of threads.

    `entry` and `context` are the native function of the whole network for `sparsebench.bench.sampler.timer_for`.
    """

    network: Sequential
    batch: int
    mode: Mode
    threads: int
    programs: list[list[Stage]]
    _plan: Any = field(repr=False)

    @property
    def detail(self) -> str:
        """How the batch is shared: inputs at a time and threads really used."""
        text: str = self._plan.detail
        return text

    @property
    def packed_bytes(self) -> int:
        """Bytes of all weights as their kernels read them, indices included."""
        nbytes: int = self._plan.packed_bytes
        return nbytes

    @property
    def layout(self) -> Layout:
        """A batch is one input after another."""
        return "row"

    @property
    def entry(self) -> int:
        """Address of the native ``void (*)(void *)``."""
        address: int = self._plan.entry
        return address

    @property
    def context(self) -> int:
        """Address that `entry` is called with."""
        address: int = self._plan.context
        return address

    def bind(self, x: Floats, out: Floats) -> None:
        """Fix the operands: x is [batch, *input shape], out [batch, *output shape]; float32, C order."""
        self._plan.bind(x, out)

    def call(self) -> None:
        """Compute on the bound operands."""
        self._plan.call()

    def run(self, x: Floats, out: Floats | None = None) -> Floats:
        """Compute a batch; returns `out`, or without it a new array [batch, *output shape].

        Raises
        ------
        ValueError
            If x is not C-ordered float32 [batch, *input shape], or `out` [batch, *output shape].
        """
        if out is None:
            out = aligned_empty((self.batch, *self.network.output_shape))
        self._plan.run(x, out)
        return out

    def trace(self, x: Floats) -> Iterator[tuple[Stage, Floats, Floats]]:
        """Run the first program step by step on x [its batch, *input shape]; yield each stage, its input and output.

        The arrays are copies: what the next stage overwrites stays.
        """
        first = self.programs[0]
        first[0].source[...] = x
        for stage in first:
            source = stage.source.copy()
            for step in stage.steps:
                step.call()
            yield stage, source, stage.target.copy()

    def report(self, runs: int = 200) -> list[StageReport]:
        """Time every stage of the first program, `runs` times, on what its arena holds from the last run."""
        seconds = iter(self._plan.step_seconds(runs))
        macs = {row.name: row.dense_macs if self.mode == "dense" else row.macs for row in self.network.describe()}
        return [
            StageReport(
                stage.names,
                stage.kernel,
                len(stage.source),
                sum(next(seconds) for _ in stage.steps),
                float(np.count_nonzero(stage.source) / stage.source.size),
                sum(macs.get(name, 0) for name in stage.names),
                stage.packed_bytes,
            )
            for stage in self.programs[0]
        ]

    def describe(self) -> str:
        """Return the report as a table; the last line is the whole network."""
        from io import StringIO

        from rich.console import Console
        from rich.table import Table

        rows = self.report()
        heads = ("layers", "kernel", "us", "share", "input not zero", "MACs", "bytes of W")
        table = Table(*heads, box=None, pad_edge=False)
        total = sum(row.seconds for row in rows)
        for row in rows:
            table.add_row(
                " + ".join(row.names),
                row.kernel,
                f"{row.seconds * 1e6:.2f}",
                f"{row.seconds / total:.0%}",
                f"{row.reached:.0%}",
                f"{row.macs:,}" if row.macs else "",
                f"{row.packed_bytes:,}" if row.packed_bytes else "",
            )
        table.add_row(
            f"all, {rows[0].inputs} at a time",
            self.mode,
            f"{total * 1e6:.2f}",
            "100%",
            "",
            f"{sum(row.macs for row in rows):,}",
            f"{sum(row.packed_bytes for row in rows):,}",
        )
        stream = StringIO()
        Console(file=stream, width=110).print(table)
        return stream.getvalue()


def compile_network(
    network: Sequential, batch: int, mode: Mode, threads: int, level: str | None = None
) -> CompiledNetwork:
    """Compile; see `Sequential.compile`, which folds first."""
    if mode not in MODES:
        raise InputError(f"mode '{mode}' is not known; known: {', '.join(MODES)}")
    for name, value in (("batch", batch), ("threads", threads)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    if not all(isinstance(layer, _COMPILED) for layer in network.layers):
        raise InputError(f"network '{network.name}' has layers that must be folded first: call fold()")
    level = isa.require(level) if level else isa.active()
    made = [_assemble(network, batch, mode, threads, level, *share) for share in _shares(batch, threads)]
    return made[_fastest(made)] if len(made) > 1 else made[0]


def _shares(batch: int, threads: int) -> Iterator[tuple[tuple[int, ...], int, int]]:
    """Yield ways to share a batch, as (turns of each program, inputs a turn, threads of a step).

    Few inputs at a time keep maps in cache, several let linear layers use each weight more than once.
    """
    if batch < threads:
        yield (1,), batch, threads
        yield (1,), batch, 1
        return
    largest = max(size for size in range(1, MOST_AT_ONCE + 1) if size == 1 or batch % (size * threads) == 0)
    for chunk in sorted({1, largest}):
        turns = batch // chunk
        yield tuple(turns * (t + 1) // threads - turns * t // threads for t in range(threads)), chunk, 1


def _assemble(
    network: Sequential,
    batch: int,
    mode: Mode,
    threads: int,
    level: str,
    turns: tuple[int, ...],
    chunk: int,
    inner: int,
) -> CompiledNetwork:
    # The first program's choices are everyone's: all inputs are then computed alike, to the last bit.
    choices: dict[str, str] = {}
    programs = [_Builder(network, chunk, mode, inner, level, choices).stages() for _ in turns]
    steps = [[step for stage in stages for step in stage.steps] for stages in programs]
    used = max(inner, len(turns))
    plan = _engine(level).NetworkPlan(
        [(own, one[0].source, one[-1].target, count) for own, one, count in zip(steps, programs, turns, strict=True)],
        (batch, *network.input_shape),
        (batch, *network.output_shape),
        sum(stage.packed_bytes for stage in programs[0]),
        f"{mode}, {chunk} of {batch} at a time, {used} thread{'s' if used > 1 else ''}",
    )
    return CompiledNetwork(network, batch, mode, threads, programs, plan)


def _fastest(made: list[CompiledNetwork]) -> int:
    """Return which of several takes least time on random input."""
    first = made[0]
    x = np.random.default_rng(0).standard_normal((first.batch, *first.network.input_shape), dtype=np.float32)
    for one in made:
        one.bind(aligned_copy(x), aligned_empty((one.batch, *one.network.output_shape)))
        one.call()
    return quickest([one._plan for one in made])


_COMPILED = (Linear, Conv2d, MaxPool2d, ReLU, GELU, KWinners, KWinners2d, Flatten)


def _engine(level: str) -> Any:
    return isa.module("network_engine", level)


class _Arena:
    """One aligned block that a program's arrays are cut from, and that lives as long as they."""

    def __init__(self, floats: int) -> None:
        self._block = aligned_empty(floats)
        self._block[...] = 0
        self._used = 0

    def take(self, shape: tuple[int, ...]) -> Floats:
        """Return the next array of the arena."""
        line = ALIGNMENT // 4
        size = -(-math.prod(shape) // line) * line
        part = self._block[self._used : self._used + math.prod(shape)].reshape(shape)
        self._used += size
        return part


class _Builder:
    """Builds the stages of one program: a part of the batch.

    `choices` are kernels by layer: those that are there are taken, others are measured and added.
    """

    def __init__(
        self, network: Sequential, batch: int, mode: Mode, threads: int, level: str, choices: dict[str, str]
    ) -> None:
        self.network = network
        self.batch = batch
        self.mode = mode
        self.threads = threads
        self.level = level
        self.engine = _engine(level)
        self.choices = choices
        # Every layer's output, twice for the transposes of linear layers, and a line each.
        sizes = [network.input_shape, *network.shapes]
        self.arena = _Arena(sum(3 * (batch * math.prod(shape) + 64) for shape in sizes))
        self.rng = np.random.default_rng(0)

    def stages(self) -> list[Stage]:
        """Return the network's stages in order; the arena then holds a run on random input."""
        current = self.arena.take((self.batch, *self.network.input_shape))
        current[...] = self.rng.standard_normal(current.shape, dtype=np.float32)
        built: list[Stage] = []
        layers = list(self.network.named_layers.items())
        at = 0
        while at < len(layers):
            stage = self._stage(layers[at:], current)
            for step in stage.steps:
                step.call()
            built.append(stage)
            current = stage.target
            at += len(stage.names)
        return built

    def _stage(self, layers: list[tuple[str, Layer]], x: Floats) -> Stage:
        """Build what computes the first of the layers, and those after it that fuse with it."""
        name, layer = layers[0]
        shape: Shape = layer.output_shape(x.shape[1:])
        match [layer for _, layer in layers[:3]]:
            case [Conv2d() as conv, KWinners2d(local=True) as winners, MaxPool2d() as pool] if self._fuses(
                shape, winners, pool
            ):
                names = tuple(name for name, _ in layers[:3])
                return self._convolution(names, conv, x, pool.output_shape(shape), winners=winners.winners(shape))
            case [Conv2d() as conv, ReLU(), *_]:
                return self._convolution((name, layers[1][0]), conv, x, shape, relu=True)
            case [Conv2d() as conv, *_]:
                return self._convolution((name,), conv, x, shape)
            case [Linear() as linear, ReLU() | GELU() as activation, *_]:
                return self._linear((name, layers[1][0]), linear, x, activation.kind)
            case [Linear() as linear, *_]:
                return self._linear((name,), linear, x, "")
        match layer:
            case MaxPool2d():
                y = self.arena.take((self.batch, *shape))
                return Stage((name,), (self.engine.pool(x, y, layer.window),), x, y)
            case KWinners2d(local=True):
                y = self.arena.take(x.shape)
                planes = (self.batch, x.shape[1], math.prod(x.shape[2:]))
                k = layer.winners(x.shape[1:])
                local = prepare_local(x.reshape(planes), k, out=y.reshape(planes), level=self.level)
                return Stage((name,), (local,), x, y)
            case KWinners() | KWinners2d():
                y = self.arena.take(x.shape)
                flat = (self.batch, math.prod(x.shape[1:]))
                k = layer.winners(x.shape[1:])
                best = prepare_global(x.reshape(flat), k, out=y.reshape(flat), level=self.level)
                return Stage((name,), (best,), x, y)
            case Flatten():
                return Stage((name,), (), x, x.reshape(self.batch, -1))
            case ReLU() | GELU():
                y = self.arena.take(x.shape)
                nothing = np.zeros(1, np.float32)
                steps = (self.engine.copied(x, y), self.engine.activate(y.reshape(1, -1), nothing, layer.kind))
                return Stage((name,), steps, x, y)
        raise TypeError(f"no stage for {layer}")

    def _fuses(self, shape: Shape, winners: KWinners2d, pool: MaxPool2d) -> bool:
        """Whether k-winners and pooling fuse with the convolution before them, whose output has this shape."""
        pairs = pool.window == Window((2, 2), (2, 2)) and min(shape[1:]) > 1
        return pairs and 0 < winners.winners(shape) <= most_winners(self.level)

    def _kernel_name(self, pattern: Pattern | None, groups: int = 1) -> str:
        if self.mode == "dense" or pattern is None:
            return "dense"
        return pattern.name if pattern.name in WITH_KERNEL and groups == 1 else "csr"

    def _weights(self, name: str) -> Weights:
        """Return the layer's matrices as one: those of a grouped convolution below one another."""
        parts = self.network.weights(name)
        if len(parts) == 1:
            return parts[0]
        return Weights(
            aligned_copy(np.vstack([part.dense for part in parts])),
            Mask(np.vstack([part.mask.allowed for part in parts])),
        )

    def _convolution(
        self, names: tuple[str, ...], layer: Conv2d, x: Floats, shape: Shape, *, relu: bool = False, winners: int = 0
    ) -> Stage:
        y = self.arena.take((self.batch, *shape))
        conv = Convolution(layer.in_channels, x.shape[2], x.shape[3], layer.window, layer.groups)
        pattern = layer.pattern if layer.pattern is not None and layer.groups == 1 else Unstructured()
        problem = Problem("conv2d", layer.out_channels, conv.taps, self.batch, pattern, layer.density, conv=conv)
        kernel = registry.kernels("conv2d", self.level)[self._kernel_name(layer.pattern, layer.groups)]
        bias = self.network.parameters.get(f"{names[0]}.bias") if layer.bias else None
        plan = kernel.prepare(problem, self._weights(names[0]), self.threads, bias=bias, relu=relu, winners=winners)
        plan.bind(x, y)
        return Stage(names, (plan,), x, y, kernel.name, plan.packed_bytes)

    def _linear(self, names: tuple[str, ...], layer: Linear, x: Floats, activation: str) -> Stage:
        """Multiply columns of features: a batch is transposed on the way in and on the way out."""
        inputs, outputs = layer.in_features, layer.out_features
        engine = self.engine
        steps: list[Any] = []
        y = self.arena.take((self.batch, outputs))
        if self.batch == 1:
            columns, product = x.reshape(inputs, 1), y.reshape(outputs, 1)
        else:
            columns = self.arena.take((inputs, self.batch))
            product = self.arena.take((outputs, self.batch))
            steps.append(engine.transposed(x, columns))
            steps[0].call()
        plan, kernel = self._product(names[0], layer, columns, product)
        steps.append(plan)
        bias = self.network.parameters.get(f"{names[0]}.bias") if layer.bias else None
        if bias is not None or activation:
            added = np.zeros(outputs, np.float32) if bias is None else bias
            steps.append(engine.activate(product, added, activation))
        if self.batch > 1:
            steps.append(engine.transposed(product, y))
        return Stage(names, tuple(steps), x, y, kernel, plan.packed_bytes)

    def _product(self, name: str, layer: Linear, columns: Floats, product: Floats) -> tuple[Any, str]:
        """Prepare the product, by the faster of the kernels that the mode allows on what its input really is."""
        pattern = layer.pattern or Unstructured()
        problem = Problem("matmul", layer.out_features, layer.in_features, self.batch, pattern, layer.density)
        reached = max(1, int(np.count_nonzero(columns))) / columns.size
        asked = {self._kernel_name(layer.pattern): problem}
        if self.mode == "sparse-sparse" and reached < 1:
            asked["complementary-ss"] = replace(problem, act_density=reached)
        if name in self.choices:
            asked = {self.choices[name]: asked.get(self.choices[name], problem)}
        known = registry.kernels("matmul", self.level)
        weights = self._weights(name)
        plans = {
            kernel: known[kernel].prepare(problem, weights, self.threads)
            for kernel, problem in asked.items()
            if known[kernel].supports(problem) is None
        }
        for plan in plans.values():
            plan.bind(columns, product)
        names = list(plans)
        best = names[quickest(list(plans.values()))] if len(names) > 1 else names[0]
        self.choices[name] = best
        return plans[best], best
