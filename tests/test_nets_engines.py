"""Networks as dense engines run them, and what of their answers is called right."""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench import nets
from sparsebench.errors import InputError
from sparsebench.kernel import Kernel
from sparsebench.nets import BatchNorm, Conv2d, Flatten, KWinners, KWinners2d, Linear, ReLU, Sequential, forward
from sparsebench.nets.engines import EngineWeights, engine_reference, for_engine
from sparsebench.nets.operands import NetworkOperands
from sparsebench.nets.verify import NetworkReference
from sparsebench.patterns import Complementary

NET = Sequential(
    [
        Conv2d(2, 8, 3, pattern=Complementary(lanes=4), density=0.25),
        BatchNorm(8),
        KWinners2d(0.25),
        Flatten(),
        Linear(128, 32, pattern=Complementary(lanes=4), density=0.25),
        ReLU(),
        KWinners(0.25),
        Linear(32, 5),
    ],
    (2, 6, 6),
    "small",
).initialize(seed=1)
X = np.random.default_rng(2).standard_normal((7, 2, 6, 6), dtype=np.float32)


def in_float32(network: Sequential, x: np.ndarray, bits: int = 24) -> np.ndarray:
    """Compute layer by layer with every value rounded to so many bits."""
    for name in network.names:
        mantissa, exponent = np.frexp(nets.apply(network, name, x))
        x = np.ldexp(np.round(mantissa * 2.0**bits) / 2.0**bits, exponent)
    return x.astype(np.float32)


def test_relu_stands_for_k_winners_and_nothing_does_after_a_relu() -> None:
    engine = for_engine(NET)
    assert [layer.kind for layer in engine.layers] == ["conv2d", "relu", "flatten", "linear", "relu", "linear"]
    assert engine.names == ("conv1", "kwinners1", "flatten1", "linear1", "relu1", "linear2")


def test_stored_weights_are_the_networks_and_dense_ones_have_no_zeros() -> None:
    stored, dense = (for_engine(NET, weights).parameters for weights in ("stored", "dense"))
    folded = NET.fold().parameters
    assert stored.keys() == dense.keys() == folded.keys()
    for name, array in stored.items():
        assert np.array_equal(array, folded[name])
        assert dense[name].shape == array.shape
        assert np.count_nonzero(dense[name]) == dense[name].size


@pytest.mark.parametrize("name", [name for name, _ in nets.shipped()])
def test_shipped_networks_have_a_form_for_engines(name: str) -> None:
    network = nets.load(name).initialize(0)
    engine = for_engine(network)
    assert not any(layer.kind.startswith("kwinners") for layer in engine.layers)
    assert engine.output_shape == network.output_shape


@pytest.mark.parametrize("weights", ["stored", "dense"])
def test_float32_is_right_and_bfloat16_is_not(weights: EngineWeights) -> None:
    engine = for_engine(NET, weights)
    known = engine_reference(engine, X)
    assert np.array_equal(known.y, forward(engine, X).output)
    assert known.judge(in_float32(engine, X)).status == "ok"
    verdict = known.judge(in_float32(engine, X, bits=8))
    assert verdict.status == "wrong"
    assert "float64 says" in verdict.error


def test_bfloat16_is_right_where_that_is_what_an_engine_computes_in() -> None:
    engine = for_engine(NET)
    known = engine_reference(engine, X, "bf16")
    assert known.judge(in_float32(engine, X, bits=8)).status == "ok"
    assert known.judge(in_float32(engine, X[::-1], bits=8)).status == "wrong"


def test_what_is_not_written_is_wrong() -> None:
    known = engine_reference(for_engine(NET), X)
    out = known.y.astype(np.float32)
    out[3, 2] = np.nan
    verdict = known.judge(out)
    assert (verdict.status, verdict.max_rel_error) == ("wrong", np.inf)
    assert "y[3, 2]" in verdict.error


def test_zeros_throughout_prove_little() -> None:
    network = Sequential([Linear(3, 2, bias=False), ReLU()], (3,)).prune({"linear1.weight": -np.ones((2, 3))})
    x = np.ones((2, 3), np.float32)
    assert engine_reference(for_engine(network), x).judge(np.zeros((2, 2), np.float32)).status == "mistrusted"


def test_a_rival_is_judged_by_its_own_network() -> None:
    judge = NetworkReference(NetworkOperands(NET, X))

    def verdict(weights: EngineWeights, of: EngineWeights) -> str:
        kernel = Kernel("a", "network", "b", "", lambda problem: None, lambda *_: None, engine=of)  # type: ignore[arg-type, return-value]
        out = forward(for_engine(NET, weights), X).output.astype(np.float32)
        return judge.judge(None, out, kernel).status

    assert verdict("stored", "stored") == verdict("dense", "dense") == "ok"
    assert verdict("dense", "stored") == verdict("stored", "dense") == "wrong"


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="no weights yet"):
        for_engine(nets.load("gsc"))
