"""The layers of a model as problems: each distinct shape once, in a pattern, at the model's own sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sparsebench.convolution import Convolution
from sparsebench.errors import InputError
from sparsebench.models.geometry import ConvGeometry
from sparsebench.models.layer import Layer
from sparsebench.patterns import Pattern, parse_pattern
from sparsebench.problem import Problem
from sparsebench.weights.names import nearest
from sparsebench.window import Window


@dataclass(frozen=True, slots=True)
class Combination:
    """A pattern at a density; pattern "stored" has each layer's own, which is None here."""

    pattern: Pattern
    density: float | None

    @property
    def label(self) -> str:
        """As problem strings have it: ``complementary/8+0.95``, or ``stored``."""
        return str(self.pattern) if self.density is None else f"{self.pattern}+{1 - self.density:.10g}"


@dataclass(frozen=True, slots=True)
class Alike:
    """Layers of one shape, geometry and N. They are measured once, on the weights of the first."""

    layers: tuple[Layer, ...]

    @property
    def first(self) -> Layer:
        """The layer whose weights are measured."""
        return self.layers[0]

    @property
    def uses(self) -> int:
        """How many layers they are."""
        return len(self.layers)

    def problem(self, wanted: Combination) -> Problem:
        """Return the problem of one of these layers in a pattern.

        Raises
        ------
        InputError
            If the layer cannot have this pattern at this density: the message says why.
        """
        layer, density = self.first, wanted.density
        if layer.columns is None:
            raise InputError("its N is not known")
        if density is None:
            density = _stored_density(layer)
        wanted.pattern.check(density)
        if density * layer.cols < 1 and wanted.density is not None:
            raise InputError(f"of the {layer.cols} weights of a row, less than one would be kept")
        conv = None if layer.conv is None else convolution(layer.conv, layer)
        return Problem(
            op=layer.op,
            M=layer.rows,
            K=layer.cols,
            N=layer.columns,
            pattern=wanted.pattern,
            density=density,
            weights=layer.address,
            conv=conv,
        )


def _stored_density(layer: Layer) -> float:
    nonzero = int((layer.weights() != 0).sum())
    if nonzero in (0, layer.size):
        raise InputError("none of its weights is zero" if nonzero else "all of its weights are zero")
    return round(nonzero / layer.size, 12)


def convolution(conv: ConvGeometry, layer: Layer) -> Convolution:
    """Return a layer's convolution; where its padding differs from side to side, with that as part of the input.

    The output has then the same pixels, from as many multiplications. What a kernel saves that knows zeros at the
    border to be zeros, it does not save.
    """
    if conv.height is None or conv.width is None or conv.pads is None:
        raise InputError("the size of its input is not known")
    top, left, bottom, right = conv.pads
    height, width, padding = conv.height, conv.width, (top, left)
    if (top, left) != (bottom, right):
        height, width, padding = height + top + bottom, width + left + right, (0, 0)
    kernel = (layer.shape[2], layer.shape[3])
    window = Window(kernel, conv.stride, padding, conv.dilation)
    return Convolution(layer.shape[1] * conv.groups, height, width, window, conv.groups)


def uneven(layer: Layer) -> bool:
    """Whether padding differs from side to side, so that `convolution` makes it a part of the input."""
    pads = None if layer.conv is None else layer.conv.pads
    return pads is not None and pads[:2] != pads[2:]


def alike(layers: Sequence[Layer]) -> list[Alike]:
    """Gather layers of one op, shape, geometry and N, in order of first appearance."""
    found: dict[tuple[object, ...], list[Layer]] = {}
    for layer in layers:
        found.setdefault((layer.op, layer.shape, layer.conv, layer.columns), []).append(layer)
    return [Alike(tuple(members)) for members in found.values()]


def chosen(
    layers: Sequence[Layer],
    take: Sequence[str] = (),
    skip: Sequence[str] = (),
    called: tuple[str, str] = ("--layers", "--skip"),
) -> list[Layer]:
    """Return the layers whose names match a glob of `take` (all, where there is none) and none of `skip`.

    `called` is what messages call the two.

    Raises
    ------
    InputError
        If a glob matches no layer.
    """
    names = [layer.name for layer in layers]
    for option, globs in zip(called, (take, skip), strict=True):
        for glob in globs:
            if not any(_matches(name, glob) for name in names):
                raise InputError(f"{option} '{glob}' names no layer; {nearest(glob, names)}")
    found = [
        layer
        for layer in layers
        if (not take or any(_matches(layer.name, glob) for glob in take))
        and not any(_matches(layer.name, glob) for glob in skip)
    ]
    if not found:
        raise InputError(f"{called[0]} and {called[1]} leave no layer")
    return found


def _matches(name: str, glob: str) -> bool:
    return name == glob or fnmatchcase(name, glob)


def combinations(patterns: Sequence[str], densities: Sequence[float]) -> list[Combination]:
    """Return each pattern at each density, "stored" once; an unknown pattern is an InputError.

    Parameters
    ----------
    patterns
        Labels, such as ``complementary/8``.
    """
    found = []
    for label in patterns:
        pattern = parse_pattern(label)
        if pattern.name == "stored":
            found.append(Combination(pattern, None))
        else:
            found += [Combination(pattern, density) for density in densities]
    return list(dict.fromkeys(found))


def shape_text(layer: Layer) -> str:
    """Return a layer's shape without N, as problems say it but shorter: ``384x1536``, ``64x1x3x3@56x56/2 g64``."""
    text = "x".join(map(str, layer.shape))
    conv = layer.conv
    if conv is None:
        return text
    text += "" if conv.height is None else f"@{conv.height}x{conv.width}"
    text += "" if conv.stride == (1, 1) else f"/{'x'.join(map(str, dict.fromkeys(conv.stride)))}"
    return text if conv.groups == 1 else f"{text} g{conv.groups}"
