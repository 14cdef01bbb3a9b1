"""The float64 reference against SciPy, naive loops and definitions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from sparsebench.errors import InputError
from sparsebench.nets import (
    GELU,
    BatchNorm,
    Conv2d,
    Flatten,
    KWinners,
    KWinners2d,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    apply,
    forward,
)
from sparsebench.patterns import Complementary
from sparsebench.window import Window


def run(layer: Layer, x: Any) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return forward(Sequential([layer], x.shape[1:]).initialize(), x).output


def batch(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape)


def naive(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, window: Window, groups: int) -> np.ndarray:
    """Convolve by the definition, one output at a time."""
    out, per_group = len(weight), weight.shape[1]
    height, width = window.output(*x.shape[2:])
    y = np.empty((len(x), out, height, width))
    for n, o, i, j in np.ndindex(*y.shape):
        total = float(bias[o])
        first = o // (out // groups) * per_group
        for c, a, b in np.ndindex(*weight.shape[1:]):
            row = i * window.stride[0] - window.padding[0] + a * window.dilation[0]
            col = j * window.stride[1] - window.padding[1] + b * window.dilation[1]
            if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                total += weight[o, c, a, b] * x[n, first + c, row, col]
        y[n, o, i, j] = total
    return y


@pytest.mark.parametrize(
    "layer",
    [
        Conv2d(4, 6, 3),
        Conv2d(4, 6, 1, bias=False),
        Conv2d(4, 6, (2, 3), stride=(2, 1)),
        Conv2d(4, 6, 3, padding=(2, 0)),
        Conv2d(4, 6, (3, 2), dilation=(1, 3)),
        Conv2d(4, 6, 3, groups=2),
        Conv2d(4, 4, (3, 1), stride=(3, 2), padding=(1, 2), dilation=(2, 1), groups=4),
        Conv2d(4, 8, 3, padding=1, groups=2, pattern=Complementary(4), density=0.5),
    ],
    ids=str,
)
def test_convolution_by_definition(layer: Conv2d) -> None:
    x = batch(2, 4, 7, 6)
    net = Sequential([layer], (4, 7, 6)).initialize(3)
    weight = net.parameters["conv1.weight"].astype(np.float64)
    bias = net.parameters.get("conv1.bias", np.zeros(layer.out_channels))
    np.testing.assert_allclose(forward(net, x).output, naive(x, weight, bias, layer.window, layer.groups), atol=1e-13)


def test_convolution_of_scipy() -> None:
    x = batch(2, 3, 9, 8)
    net = Sequential([Conv2d(3, 5, (4, 3))], (3, 9, 8)).initialize()
    weight, bias = (net.parameters[f"conv1.{key}"].astype(np.float64) for key in ("weight", "bias"))
    y = forward(net, x).output
    for n, o in itertools.product(range(2), range(5)):
        expected = sum(correlate2d(x[n, c], weight[o, c], mode="valid") for c in range(3)) + bias[o]
        np.testing.assert_allclose(y[n, o], expected, atol=1e-13)


def test_linear() -> None:
    net = Sequential([Linear(3, 2)], (3,)).prune(
        {"linear1.weight": np.array([[1, 2, 3], [4, 5, 6]]), "linear1.bias": [7, 8]}
    )
    assert forward(net, [[1, 0, -1], [0, 1, 0]]).output.tolist() == [[5, 6], [9, 13]]


def test_pointwise_layers() -> None:
    x = batch(3, 5)
    assert np.array_equal(run(ReLU(), x), np.where(x > 0, x, 0))
    phi = np.vectorize(lambda v: v * (1 + math.erf(v / math.sqrt(2))) / 2)
    np.testing.assert_allclose(run(GELU(), x), phi(x), rtol=1e-13)


def test_flatten_goes_by_channel_row_column() -> None:
    x = np.arange(24.0).reshape(2, 2, 3, 2)
    assert run(Flatten(), x).tolist() == [list(range(12)), list(range(12, 24))]


def test_pooling() -> None:
    x = np.arange(15.0).reshape(1, 1, 3, 5)
    assert run(MaxPool2d(2), x).tolist() == [[[[6, 8]]]]
    assert run(MaxPool2d(2, stride=1), x).tolist() == [[[[6, 7, 8, 9], [11, 12, 13, 14]]]]
    # Padding never wins, not even over negative numbers.
    assert run(MaxPool2d((3, 2), stride=(2, 4), padding=1), -1 - x).tolist() == [[[[-1, -4], [-6, -9]]]]


def test_batchnorm() -> None:
    x = batch(2, 3, 4, 4)
    net = Sequential([Conv2d(3, 3, 1), BatchNorm(3, eps=0.1)], (3, 4, 4)).initialize()
    before = apply(net, "conv1", x)
    own = {key: net.parameters[f"batchnorm1.{key}"].astype(np.float64) for key in BatchNorm(3).parameters}
    for c in range(3):
        normal = (before[:, c] - own["running_mean"][c]) / math.sqrt(own["running_var"][c] + 0.1)
        np.testing.assert_allclose(forward(net, x).output[:, c], normal * own["weight"][c] + own["bias"][c], rtol=1e-12)


def winners_by_definition(x: list[float], k: int) -> list[float]:
    """Take the largest value k times over, the first of equal ones."""
    left = dict(enumerate(x))
    won = [0.0] * len(x)
    for _ in range(k):
        best = max(left, key=lambda i: (left[i], -i))
        won[best] = left.pop(best)
    return won


@settings(max_examples=100, deadline=None)
@given(x=st.lists(st.integers(-2, 2), min_size=12, max_size=12), k=st.integers(1, 12))
def test_ties_go_to_the_lowest_index(x: list[int], k: int) -> None:
    values = [float(v) for v in x]
    maps = np.reshape(values, (1, 3, 2, 2))
    expected = winners_by_definition(values, k)
    assert run(KWinners(k / 12), [values]).tolist() == [expected]
    for layer in (KWinners(k / 12), KWinners2d(k / 12, local=False)):
        assert run(layer, maps).reshape(-1).tolist() == expected
    channels = -(-k // 4)
    local = run(KWinners2d(channels / 3), maps)[0]
    for row, col in itertools.product(range(2), range(2)):
        assert local[:, row, col].tolist() == winners_by_definition(maps[0, :, row, col].tolist(), channels)


def test_winners_are_of_each_input_and_may_be_negative() -> None:
    assert run(KWinners(0.5), [[-3, -1, -2, -4], [5, 5, 5, 5]]).tolist() == [[0, -1, -2, 0], [5, 5, 0, 0]]


def test_what_reaches_each_layer() -> None:
    net = Sequential([ReLU(), KWinners(0.25), Linear(4, 2)], (4,), "small").initialize()
    passed = forward(net, [[1, 2, 0, -1], [-1, -2, 0, -3]], keep=True)
    assert passed.reached == {"relu1": 6 / 8, "kwinners1": 2 / 8, "linear1": 1 / 8}
    assert list(passed.outputs) == ["relu1", "kwinners1", "linear1"]
    assert passed.outputs["kwinners1"].tolist() == [[0, 2, 0, 0], [0, 0, 0, 0]]
    assert passed.output is passed.outputs["linear1"]
    until = forward(net, [[1, 2, 0, -1]], until="kwinners1")
    assert until.output.tolist() == [[0, 2, 0, 0]]
    assert list(until.reached) == ["relu1", "kwinners1"]
    assert until.outputs == {}


@pytest.mark.parametrize(
    ("x", "until", "says"),
    [
        (np.zeros((2, 3)), None, "input x is 2 x 3; it must be N x 4, N at least 1"),
        (np.zeros((0, 4)), None, "input x is 0 x 4"),
        (np.zeros(()), None, "input x is a scalar"),
        (np.array([[0, 1, 2, np.nan]]), None, "input x holds NaN or infinity"),
        (np.array([["a", "b", "c", "d"]]), None, "input x holds <U1"),
        (np.zeros((2, 4)), "relu2", "network 'small' has no layer 'relu2'; nearest: relu1"),
    ],
)
def test_inputs_that_are_refused(x: np.ndarray, until: str | None, says: str) -> None:
    net = Sequential([ReLU(), Linear(4, 2)], (4,), "small").initialize()
    with pytest.raises(InputError, match=says):
        forward(net, x, until)
