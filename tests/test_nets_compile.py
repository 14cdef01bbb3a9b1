"""Compiled networks against the float64 reference, layer by layer on each layer's own input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsebench import isa, nets
from sparsebench.bench.sampler import timer_for
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
)
from sparsebench.nets.compile import MODES, Mode
from sparsebench.nets.operands import NetworkOperands
from sparsebench.nets.verify import NetworkReference
from sparsebench.patterns import Block, Complementary, Unstructured

PATTERNS = (None, Complementary(16), Complementary(4), Complementary(1, "partitioned"), Block(4, 4), Unstructured())


def check(network: Sequential, batch: int, mode: Mode, threads: int) -> None:
    """Every stage, on the input that it really had, and the whole batch bit by bit."""
    compiled = network.compile(batch, mode, threads)
    rng = np.random.default_rng(batch)
    x = rng.standard_normal((batch, *network.input_shape), dtype=np.float32)
    stages = [stage for stage, _, _ in compiled.trace(x[: len(compiled.programs[0][0].source)])]
    assert tuple(name for stage in stages for name in stage.names) == compiled.network.names
    verdict = NetworkReference(NetworkOperands(network, x)).judge(compiled, compiled.run(x))
    assert verdict.status in ("ok", "mistrusted"), f"{mode}: {verdict.error}"


def convolutional(pattern: object) -> Sequential:
    return Sequential(
        [
            Conv2d(3, 32, 3, padding=1, pattern=pattern, density=1 if pattern is None else 0.25),  # type: ignore[arg-type]
            BatchNorm(32),
            ReLU(),
            MaxPool2d(2),
            Conv2d(32, 16, 3, stride=2, pattern=pattern, density=1 if pattern is None else 0.25),  # type: ignore[arg-type]
            KWinners2d(0.25),
            MaxPool2d(3, stride=2, padding=1),
            KWinners2d(0.5, local=False),
            Flatten(),
            Linear(64, 40, pattern=pattern, density=1 if pattern is None else 0.25),  # type: ignore[arg-type]
            GELU(),
            KWinners(0.2),
            Linear(40, 7, bias=False),
        ],
        (3, 16, 15),
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_every_stage_is_right(mode: Mode, pattern: object) -> None:
    network = convolutional(pattern).initialize(seed=1)
    for batch, threads in ((1, 1), (5, 2), (8, 1)):
        check(network, batch, mode, threads)


@pytest.mark.parametrize("mode", MODES)
def test_groups(mode: Mode) -> None:
    layers = [Conv2d(8, 8, 3, groups=8), Conv2d(8, 16, 1, groups=2, pattern=Unstructured(), density=0.5), Flatten()]
    check(Sequential(layers, (8, 6, 6)).initialize(seed=2), 2, mode, 1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["gsc", "ffn-minilm-kwinners"])
def test_shipped_networks(name: str, mode: Mode) -> None:
    check(nets.load(name).initialize(seed=0), 2, mode, 1)


@pytest.mark.parametrize("level", isa.available())
@pytest.mark.parametrize("mode", MODES)
def test_winners_and_pooling_within_a_convolution(mode: Mode, level: str) -> None:
    """Maps of odd and even sides, narrower and wider than a vector; from one winner to as many as networks find."""
    for height, width, channels, winners, padding in (
        (2, 2, 8, 3, 0),
        (5, 9, 12, 1, 1),
        (7, 17, 20, 8, 0),
        (16, 15, 64, 8, 2),
        (9, 40, 40, 16, 1),
    ):
        layers = [
            Conv2d(3, channels, 2, padding=padding, pattern=Complementary(4), density=0.5),
            KWinners2d(winners / channels),
            MaxPool2d(2),
        ]
        network = Sequential(layers, (3, height + 1, width + 1)).initialize(seed=height)
        x = np.random.default_rng(0).standard_normal((3, *network.input_shape), dtype=np.float32)
        x[1] = 0
        for threads in (1, 2, 4):
            compiled = network.compile(3, mode, threads, level)
            assert len(compiled.programs[0]) == 1
            verdict = NetworkReference(NetworkOperands(network, x)).judge(compiled, compiled.run(x))
            assert verdict.status == "ok", f"{height}x{width} {threads} threads: {verdict.error}"


def test_channels_that_tie_win_in_order() -> None:
    """Equal filters give equal channels, of which the first win; then nothing is left to rounding."""
    network = Sequential([Conv2d(1, 24, 3, bias=False), KWinners2d(0.25), MaxPool2d(2)], (1, 20, 20)).initialize(seed=0)
    arrays = network.parameters
    for sign in (1, -1):
        network = network.prune({"conv1.weight": np.full_like(arrays["conv1.weight"], sign)})
        x = np.random.default_rng(0).random((1, 1, 20, 20), dtype=np.float32)
        out = network.compile(1).run(x)
        first = nets.forward(network, x).output
        np.testing.assert_allclose(out, first, rtol=1e-6)
        assert out[:, :6].all()
        assert not out[:, 6:].any()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_modes_agree_on_any_small_network(data: st.DataObject) -> None:
    """Without k-winners, whose choice may hang on rounding, all modes compute the same function."""
    draw = data.draw
    layers: list[Layer] = []
    shape: tuple[int, ...] = (draw(st.integers(1, 4)), draw(st.integers(4, 12)), draw(st.integers(4, 12)))
    start = shape
    for _ in range(draw(st.integers(0, 2))):
        pattern = draw(st.sampled_from(PATTERNS))
        conv = Conv2d(
            shape[0],
            draw(st.integers(1, 20)),
            draw(st.integers(1, min(3, *shape[1:]))),
            padding=draw(st.integers(0, 1)),
            pattern=pattern,
            density=1.0 if pattern is None else 0.5,
        )
        layers += [conv, *draw(st.sampled_from([[], [ReLU()], [GELU()], [MaxPool2d(1)]]))]
        shape = Sequential(layers, start).output_shape
    layers.append(Flatten())
    features = int(np.prod(shape))
    pattern = draw(st.sampled_from(PATTERNS))
    layers.append(Linear(features, draw(st.integers(1, 30)), pattern=pattern, density=1.0 if pattern is None else 0.5))
    network = Sequential(layers, start).initialize(seed=3)
    batch = draw(st.integers(1, 5))
    x = np.random.default_rng(0).standard_normal((batch, *start), dtype=np.float32)
    expected = nets.forward(network, x).output
    for mode in MODES:
        out = network.compile(batch, mode, draw(st.integers(1, 2))).run(x)
        np.testing.assert_allclose(out, expected, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


def test_a_network_is_timed_natively_and_described() -> None:
    compiled = nets.load("gsc").initialize(seed=0).compile(1, "sparse-sparse")
    x = np.random.default_rng(0).standard_normal((1, 1, 32, 32), dtype=np.float32)
    out = compiled.run(x)
    compiled.bind(x, out)
    assert timer_for([compiled]).seconds(3) > 0
    rows = compiled.report(runs=3)
    assert [name for row in rows for name in row.names] == list(compiled.network.names)
    assert all(row.seconds >= 0 for row in rows)
    by_name = {row.names[0]: row for row in rows}
    # 8 of 64 channels win each pixel; the largest of four pixels is rarely zero.
    assert 8 / 64 < by_name["conv2"].reached < 0.5
    assert by_name["output"].reached == pytest.approx(0.12)
    assert by_name["linear1"].macs == 120_000
    text = compiled.describe()
    assert "conv2" in text
    assert "complementary" in text
    assert compiled.detail == "sparse-sparse, 1 of 1 at a time, 1 thread"


def test_bad_arguments_are_told() -> None:
    network = Sequential([Linear(4, 3)], (4,))
    with pytest.raises(InputError, match="no weights yet"):
        network.compile(1)
    network = network.initialize()
    with pytest.raises(InputError, match="batch is 0"):
        network.compile(0)
    with pytest.raises(InputError, match="mode 'fast' is not known; known: dense, sparse-dense, sparse-sparse"):
        network.compile(1, "fast")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x is 2 x 4; the plan is for 1 x 4"):
        network.compile(1).run(np.zeros((2, 4), np.float32))
