"""Networks as ONNX models, by ONNX's own definitions and in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from typer.testing import CliRunner

from sparsebench import nets, weights
from sparsebench.cli.app import app
from sparsebench.errors import InputError
from sparsebench.nets import (
    GELU,
    BatchNorm,
    Conv2d,
    Flatten,
    KWinners,
    KWinners2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    forward,
)
from sparsebench.nets.onnx import network_model
from sparsebench.patterns import Complementary

SPARSE: dict[str, Any] = {"pattern": Complementary(lanes=4), "density": 0.25}
EVERY_LAYER = Sequential(
    [
        Conv2d(2, 8, 3, stride=(2, 1), padding=(1, 0), bias=False, **SPARSE),
        BatchNorm(8),
        KWinners2d(0.5),
        Conv2d(8, 8, (3, 2), dilation=2, groups=2),
        KWinners2d(0.3, local=False),
        MaxPool2d(3, stride=2, padding=1),
        ReLU(),
        Flatten(),
        Linear(64, 20, bias=False),
        GELU(),
        Linear(20, 12, **SPARSE),
        KWinners(0.5),
    ],
    (2, 14, 12),
    "every-layer",
).initialize(seed=3)


def batch_of(network: Sequential, N: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((N, *network.input_shape), dtype=np.float32)


def near(y: np.ndarray, network: Sequential, x: np.ndarray) -> None:
    np.testing.assert_allclose(y, forward(network, x).output, rtol=0, atol=2e-5)


@pytest.mark.parametrize("batch", [None, 3])
def test_every_layer_is_what_it_is_in_float64(batch: int | None) -> None:
    x = batch_of(EVERY_LAYER, 3)
    near(ReferenceEvaluator(network_model(EVERY_LAYER, batch)).run(None, {"x": x})[0], EVERY_LAYER, x)


def test_of_equal_values_the_lowest_index_wins() -> None:
    network = Sequential([KWinners(0.5)], (4,)).initialize()
    x = np.array([[1, 2, 2, 2], [0, 0, 0, 0], [-1, -1, -2, -1]], np.float32)
    y = ReferenceEvaluator(network_model(network)).run(None, {"x": x})[0]
    assert y.tolist() == [[0, 2, 2, 0], [0, 0, 0, 0], [-1, -1, 0, 0]]


@pytest.mark.parametrize("name", [name for name, _ in nets.shipped()])
def test_shipped_networks_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    network = nets.load(name).initialize(0)
    path = tmp_path / "net.onnx"
    network.to_onnx(path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for N in (1, 3):
        x = batch_of(network, N)
        near(session.run(None, {"x": x})[0], network, x)


def test_weights_keep_their_names_and_zeros(tmp_path: Path) -> None:
    network = nets.load("ffn-minilm").initialize(0)
    network.to_onnx(tmp_path / "net.onnx", batch=2)
    read = weights.read(f"{tmp_path / 'net.onnx'}!linear1.weight", seed=0, data=None).values
    assert np.array_equal(read, network.parameters["linear1.weight"])
    model = onnx.load(tmp_path / "net.onnx")
    assert {entry.key: entry.value for entry in model.metadata_props}["network"] == "ffn-minilm"
    assert [node.name for node in model.graph.node if node.op_type == "Gemm"] == ["linear1", "linear2"]


def test_a_network_without_weights_is_refused() -> None:
    with pytest.raises(InputError, match="no weights yet"):
        network_model(nets.load("gsc"))


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="batch is 0"):
        network_model(EVERY_LAYER, 0)


def test_export_writes_what_it_is_asked_for(tmp_path: Path) -> None:
    for options, says, kinds in (
        ((), "127,720 weights", {"TopK"}),
        (("--for-engine", "--batch", "3"), "127,720 weights", {"Relu"}),
        (("--for-engine", "--dense"), "2,522,000 weights", {"Relu"}),
    ):
        path = tmp_path / "gsc.onnx"
        done = CliRunner().invoke(app, ["export", "gsc", "-o", str(path), *options])
        assert done.exit_code == 0, done.output
        assert says in done.output
        model = onnx.load(path)
        assert {node.op_type for node in model.graph.node} & {"TopK", "Relu"} == kinds
        (side, *_) = model.graph.input[0].type.tensor_type.shape.dim
        assert (side.dim_value, side.dim_param) == ((3, "") if "--batch" in options else (0, "N"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("gsx", "-o", "x.onnx"), "gsc"),
        (("gsc", "-o", "x.onnx", "--dense"), "--for-engine"),
        (("gsc", "-o", "no/x.onnx"), "cannot write no/x.onnx"),
        (("gsc", "-o", "x.onnx", "--batch", "0"), "batch is 0"),
        (("gsc", "-o", "x.onnx", "--weights", "no.npz"), "no.npz"),
        (("gsc", "-o", "x.onnx", "--weights", "no.npz", "--seed", "3"), "leave out --seed"),
    ],
)
def test_export_refuses_what_it_cannot_do(
    options: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["export", *options])
    assert isinstance(done.exception, InputError)
    assert says in str(done.exception)
