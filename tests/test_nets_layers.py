"""Layers: shapes, parameters, operations, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from sparsebench.errors import InputError
from sparsebench.nets import (
    GELU,
    LAYERS,
    BatchNorm,
    Conv2d,
    Flatten,
    KWinners,
    KWinners2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Shape,
)
from sparsebench.patterns import Complementary, Unstructured

LANES = Complementary(16)


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (Linear(5, 7), (5,), (7,)),
        (Conv2d(1, 64, 5), (1, 32, 32), (64, 28, 28)),
        (Conv2d(4, 6, 3, padding=1), (4, 8, 9), (6, 8, 9)),
        (Conv2d(4, 6, 3, stride=2, padding=1), (4, 8, 9), (6, 4, 5)),
        (Conv2d(4, 6, (3, 1), stride=(1, 2), padding=(2, 0), dilation=(2, 1), groups=2), (4, 8, 9), (6, 8, 5)),
        (Conv2d(4, 6, (1, 9)), (4, 1, 9), (6, 1, 1)),
        (MaxPool2d(2), (3, 5, 4), (3, 2, 2)),
        (MaxPool2d(3, stride=2, padding=1), (3, 5, 4), (3, 3, 2)),
        (MaxPool2d((1, 2)), (3, 5, 4), (3, 5, 2)),
        (ReLU(), (3, 5, 4), (3, 5, 4)),
        (GELU(), (3,), (3,)),
        (KWinners(0.5), (3, 5, 4), (3, 5, 4)),
        (KWinners2d(0.5), (3, 5, 4), (3, 5, 4)),
        (Flatten(), (3, 5, 4), (60,)),
        (BatchNorm(3), (3, 5, 4), (3, 5, 4)),
        (BatchNorm(3), (3,), (3,)),
    ],
    ids=str,
)
def test_output_shapes(layer: Layer, shape: Shape, output: Shape) -> None:
    assert layer.output_shape(shape) == output


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        (Linear(5, 7), (6,), "input has 6 features, it takes 5"),
        (Linear(5, 7), (5, 1, 1), "input is 5 x 1 x 1, it takes 5 features; a Flatten may be missing"),
        (Conv2d(64, 64, 5), (32, 14, 14), "input has 32 channels, it takes 64"),
        (Conv2d(64, 64, 5), (64,), "input is 64, it takes channels x height x width"),
        (Conv2d(4, 4, 5, padding=(0, 1)), (4, 4, 3), "input has 4 x 5 pixels with its padding, the window needs 5 x 5"),
        (Conv2d(4, 4, 3, dilation=2), (4, 9, 4), "input has 9 x 4 pixels with its padding, the window needs 5 x 5"),
        (MaxPool2d(2), (4, 1, 2), "input has 1 x 2 pixels with its padding, the window needs 2 x 2"),
        (MaxPool2d(2), (4,), "it takes channels x height x width"),
        (KWinners2d(0.5), (4,), "it takes channels x height x width"),
        (BatchNorm(4), (3, 4, 4), "input has 3 channels, it takes 4"),
        (BatchNorm(4), (3,), "input has 3 features, it takes 4"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit(layer: Layer, shape: Shape, says: str) -> None:
    with pytest.raises(InputError, match=f"{says}$"):
        layer.output_shape(shape)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Linear(0, 7), r"Linear\(0, 7\): in_features is 0; it must be at least 1"),
        (lambda: Linear(7, 7, density=0.5), r"Linear\(7, 7, density=0.5\): density is 0.5 but no pattern is given"),
        (lambda: Linear(7, 7, pattern=LANES, density=0.0), "density is 0; it must lie in"),
        (lambda: Linear(7, 7, pattern=LANES, density=1e-6), "complementary/16.*would overlay 1000000 lane groups"),
        (lambda: Conv2d(4, 0, 3), "out_channels is 0"),
        (lambda: Conv2d(4, 6, 3, groups=4), "groups is 4; it must divide both numbers of channels"),
        (lambda: Conv2d(4, 6, (3, 0)), r"kernel is \(3, 0\); it must be one or two numbers, each at least 1"),
        (lambda: Conv2d(4, 6, 3, stride=0), r"stride is \(0, 0\)"),
        (lambda: Conv2d(4, 6, 3, padding=-1), r"padding is \(-1, -1\).*each at least 0"),
        (lambda: Conv2d(4, 6, 3, dilation=(1, 0)), r"dilation is \(1, 0\)"),
        (lambda: MaxPool2d(3, padding=2), "padding is 2; it must be at most half of the kernel"),
        (lambda: KWinners(0.0), r"KWinners\(0.0\): density is 0; it must lie in \(0, 1\]"),
        (lambda: KWinners2d(1.5), "density is 1.5"),
        (lambda: KWinners2d(math.nan), "density is nan"),
        (lambda: BatchNorm(0), "features is 0"),
        (lambda: BatchNorm(3, eps=0.0), "eps is 0.0; it must be positive"),
    ],
)
def test_layers_that_cannot_be(build: Callable[[], Layer], says: str) -> None:
    with pytest.raises(InputError, match=says):
        build()


def test_parameters() -> None:
    assert Linear(5, 7).parameters == {"weight": (7, 5), "bias": (7,)}
    assert Linear(5, 7, bias=False).parameters == {"weight": (7, 5)}
    assert Conv2d(4, 6, (3, 5), groups=2).parameters == {"weight": (6, 2, 3, 5), "bias": (6,)}
    assert BatchNorm(4).parameters == dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (4,))
    assert all(layer.parameters == {} for layer in (ReLU(), GELU(), Flatten(), KWinners(0.1), MaxPool2d(2)))


def test_matrices_and_operations() -> None:
    conv = Conv2d(4, 6, (3, 5), groups=2, padding=(1, 2))
    assert conv.matrix == (2, 3, 2 * 15)
    assert conv.size == 6 * 2 * 15
    assert conv.macs((4, 8, 9)) == conv.size * 8 * 9
    assert conv.macs((4, 8, 9), nnz=10) == 10 * 8 * 9
    assert Linear(5, 7).matrix == (1, 7, 5)
    assert Linear(5, 7).macs((5,)) == 35


def test_how_many_win() -> None:
    assert KWinners2d(0.12).winners((64, 28, 28)) == 8
    assert KWinners2d(0.12, local=False).winners((64, 28, 28)) == round(64 * 28 * 28 * 0.12)
    assert KWinners(0.12).winners((1500,)) == 180
    assert KWinners(0.001).winners((3,)) == 1
    assert KWinners(1.0).winners((3, 2, 2)) == 12


def test_layers_that_mean_the_same_are_equal() -> None:
    assert Conv2d(4, 6, (3, 3), padding=(1, 1)) == Conv2d(4, 6, 3, padding=1)
    assert Conv2d(4, 6, (3, 1)) != Conv2d(4, 6, 3)
    assert MaxPool2d(2, stride=(2, 2)) == MaxPool2d((2, 2))
    assert len({Conv2d(4, 6, (3, 3)), Conv2d(4, 6, 3)}) == 1


def test_a_layer_shows_the_call_that_builds_it() -> None:
    assert str(Conv2d(64, 32, 5, stride=(2, 1))) == "Conv2d(64, 32, 5, stride=(2, 1))"
    assert str(Linear(5, 7, pattern=Unstructured(), density=0.1)) == "Linear(5, 7, pattern=unstructured, density=0.1)"
    assert str(ReLU(name="last")) == "ReLU(name=last)"


def test_every_layer_is_listed() -> None:
    assert set(LAYERS.values()) == {Linear, Conv2d, MaxPool2d, ReLU, GELU, KWinners, KWinners2d, Flatten, BatchNorm}
