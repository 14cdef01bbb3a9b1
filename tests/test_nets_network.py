"""Networks: shapes, names, weights drawn, pruned, folded and stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench import weights as sources
from sparsebench.errors import InputError
from sparsebench.memory import is_aligned
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
    Shape,
    forward,
)
from sparsebench.nets.packing import pack
from sparsebench.patterns import Block, Complementary, Pattern, Stored, Unstructured, kept
from sparsebench.patterns.base import Mask

PATTERNS: list[tuple[Pattern | None, float]] = [
    (None, 1.0),
    (Complementary(4), 0.25),
    (Complementary(1, "partitioned"), 0.2),
    (Block(2, 3), 0.3),
    (Unstructured(), 0.1),
]


def small(**options: Any) -> Sequential:
    """Return a network with a grouped convolution, BatchNorm, and every kind of mask."""
    layers = [
        Conv2d(2, 8, 3, padding=1, groups=2, bias=False, pattern=Complementary(4), density=0.5),
        BatchNorm(8),
        KWinners2d(0.5),
        MaxPool2d(2),
        Conv2d(8, 4, (3, 2), pattern=Block(2, 2), density=0.5),
        ReLU(),
        Flatten(),
        Linear(32, 12, pattern=Unstructured(), density=0.25),
        BatchNorm(12, eps=1e-3),
        GELU(),
        Linear(12, 3, name="output"),
    ]
    return Sequential(layers, (2, 8, 10), **({"name": "small"} | options))


def batch(net: Sequential, n: int = 3) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((n, *net.input_shape))


def test_names_and_shapes() -> None:
    net = small()
    assert net.names == (
        *("conv1", "batchnorm1", "kwinners1", "maxpool1", "conv2", "relu1", "flatten1", "linear1", "batchnorm2"),
        *("gelu1", "output"),
    )
    assert net.shapes[:5] == ((8, 8, 10), (8, 8, 10), (8, 8, 10), (8, 4, 5), (4, 2, 4))
    assert net.output_shape == (3,)
    assert net.input_shapes["conv1"] == (2, 8, 10)
    assert net.input_shapes["conv2"] == (8, 4, 5)
    assert net.layer("output") == Linear(12, 3, name="output")


@pytest.mark.parametrize(
    ("layers", "shape", "says"),
    [
        ([], (3,), "network 'net' has no layers"),
        ([ReLU()], (), "network 'net': input is .*at least 1"),
        ([ReLU()], (3, 0), "network 'net': input is 3 x 0"),
        (
            [Conv2d(1, 32, 3), ReLU(), MaxPool2d(2), Conv2d(64, 64, 5, stride=2)],
            (1, 32, 32),
            r"^network 'net', layers\[3\] Conv2d\(64, 64, 5, stride=2\): input has 32 channels, it takes 64$",
        ),
        ([BatchNorm(3)], (3,), r"layers\[0\] BatchNorm\(3\): must follow a Linear or Conv2d"),
        ([Linear(3, 3), ReLU(), BatchNorm(3)], (3,), r"layers\[2\] BatchNorm\(3\): must follow"),
        ([ReLU(name="a.b")], (3,), r"layers\[0\].*name 'a.b' must consist of"),
        ([ReLU(name="a"), GELU(name="a")], (3,), r"layers\[1\].*name 'a' is that of layers\[0\] already"),
        ([ReLU(name="gelu1"), GELU()], (3,), "name 'gelu1' is that of"),
    ],
)
def test_networks_that_cannot_be(layers: list[Layer], shape: Shape, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Sequential(layers, shape)


def test_without_weights_there_is_nothing_to_compute_with(tmp_path: Path) -> None:
    net = small()
    for use in (lambda: net.parameters, net.describe, net.nonzeros, lambda: net.save(tmp_path / "x.npz")):
        with pytest.raises(InputError, match=r"network 'small' has no weights yet; initialize\(seed\), prune"):
            use()
    net.initialize(0)
    with pytest.raises(InputError, match="no weights yet"):
        forward(net, batch(net))


def test_drawn_weights() -> None:
    net = small().initialize(1)
    assert list(net.parameters)[:5] == ["conv1.weight", *(f"batchnorm1.{key}" for key in BatchNorm(1).parameters)]
    shapes = {name: array.shape for name, array in net.parameters.items()}
    assert shapes["conv1.weight"] == (8, 1, 3, 3)
    assert shapes["conv2.weight"] == (4, 8, 3, 2)
    assert shapes["output.bias"] == (3,)
    for array in net.parameters.values():
        assert array.dtype == np.float32
        assert is_aligned(array)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert net.nonzeros() == {"conv1": 40, "conv2": 96, "linear1": 96, "output": 36}
    assert all(np.count_nonzero(net.parameters[f"{name}.weight"]) == nnz for name, nnz in net.nonzeros().items())


def test_seeds_are_not_negative() -> None:
    with pytest.raises(InputError, match="seed is -1; it must be 0 or greater"):
        small().initialize(-1)


def test_equal_seeds_draw_equal_weights() -> None:
    first, again, other = (small().initialize(seed).parameters for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(("pattern", "density"), PATTERNS, ids=str)
def test_drawn_weights_keep_the_scale(pattern: Pattern | None, density: float) -> None:
    net = Sequential([Linear(600, 400, pattern=pattern, density=density)], (600,)).initialize()
    weight, nnz = net.parameters["linear1.weight"], net.nonzeros()["linear1"]
    assert nnz == pytest.approx(density * 600 * 400, rel=0.01)
    # The variance of an output over the mean square of inputs is 2, within four standard errors.
    assert np.square(weight, dtype=np.float64).sum() / 400 == pytest.approx(2, rel=4 * (2 / nnz) ** 0.5)


def test_a_grouped_convolution_has_a_mask_for_each_group() -> None:
    net = small().initialize()
    matrices = net.weights("conv1")
    assert [matrix.dense.shape for matrix in matrices] == [(4, 9), (4, 9)]
    stacked = np.concatenate([matrix.dense for matrix in matrices])
    assert np.array_equal(stacked.reshape(8, 1, 3, 3), net.parameters["conv1.weight"])
    for matrix in matrices:
        assert is_aligned(matrix.dense)
        assert matrix.mask.owner is not None
        assert matrix.mask.owner.shape == (1, 9)
        pack(Conv2d(1, 4, 3, pattern=Complementary(4), density=0.5), matrix).validate()


def test_dense_layers_have_full_masks() -> None:
    (matrix,) = small().initialize().weights("output")
    assert matrix.mask.allowed.all()
    assert matrix.mask.owner is None


@pytest.mark.parametrize(
    ("name", "says"),
    [("relu1", r"layer 'relu1' is ReLU\(\), which has no weights"), ("conv3", "has no layer 'conv3'; nearest: conv")],
)
def test_layers_without_weights(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        small().initialize().weights(name)


def trained(net: Sequential, seed: int = 9) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {f"{name}.{key}": s for name, layer in net.named_layers.items() for key, s in layer.parameters.items()}
    return {
        name: rng.uniform(0.1, 1, shape) * rng.choice([1] if "var" in name else [-1, 1], shape)
        for name, shape in shapes.items()
    }


def test_pruning_keeps_what_the_pattern_would() -> None:
    dense = trained(small())
    net = small().prune(dense)
    assert net.nonzeros() == small().initialize().nonzeros()
    matrix = dense["linear1.weight"].astype(np.float32)
    mask = Unstructured().prune(matrix, 0.25)
    assert np.array_equal(net.parameters["linear1.weight"], np.where(mask.allowed, matrix, 0))
    assert net.kept["linear1"] == kept(matrix, mask)
    assert net.weights("linear1")[0].kept == net.kept["linear1"]
    halves = np.split(dense["conv1.weight"].astype(np.float32).reshape(8, 9), 2)
    masks = [Complementary(4).prune(half, 0.5) for half in halves]
    expected = np.concatenate([np.where(m.allowed, half, 0) for m, half in zip(masks, halves, strict=True)])
    assert np.array_equal(net.parameters["conv1.weight"].reshape(8, 9), expected)
    assert net.kept["conv1"] == kept(np.concatenate(halves), Mask(np.concatenate([m.allowed for m in masks])))
    assert np.array_equal(net.parameters["output.weight"], dense["output.weight"].astype(np.float32))
    assert "output" not in net.kept
    assert small().initialize().kept == {}


def test_stored_patterns_keep_the_zeros_that_are_there() -> None:
    net = Sequential([Linear(3, 2, pattern=Stored(), bias=False)], (3,))
    weights = np.array([[1, 0, 0], [0, 2, 3]])
    assert net.prune({"linear1.weight": weights}).nonzeros() == {"linear1": 3}
    with pytest.raises(InputError, match="pattern 'stored' needs weights from a file"):
        net.initialize()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"linear1.weight": None}, r"array 'linear1.weight' \[12 x 32\] is missing"),
        ({"linear1.wieght": np.zeros(3)}, "array 'linear1.wieght' belongs to no layer; nearest: linear1.weight"),
        ({"linear1.bias": np.zeros((3, 4))}, "array 'linear1.bias' is 3 x 4; it must be 12"),
        ({"linear1.bias": np.float32(1)}, "array 'linear1.bias' is a scalar; it must be 12"),
        ({"linear1.bias": np.full(12, np.inf)}, "array 'linear1.bias' holds NaN or infinity"),
        ({"linear1.bias": np.full(12, 1e39)}, "array 'linear1.bias' holds NaN or infinity"),
        ({"linear1.bias": np.full(12, "a")}, "array 'linear1.bias' holds <U1"),
        (
            {"batchnorm1.running_var": -np.ones(8)},
            "array 'batchnorm1.running_var' holds -1; a variance is not negative",
        ),
    ],
)
def test_trained_arrays_that_do_not_fit(change: dict[str, Any], says: str) -> None:
    arrays = {name: array for name, array in (trained(small()) | change).items() if array is not None}
    with pytest.raises(InputError, match=says):
        small().prune(arrays)


def test_folding() -> None:
    net = small().initialize(4)
    folded = net.fold()
    assert folded.names == tuple(name for name in net.names if "batchnorm" not in name)
    assert folded.layers[0] == Conv2d(2, 8, 3, padding=1, groups=2, pattern=Complementary(4), density=0.5)
    assert list(folded.parameters)[:3] == ["conv1.weight", "conv1.bias", "conv2.weight"]
    assert folded.nonzeros() == net.nonzeros()
    x = batch(net)
    # Only the rounding of folded weights to float32 stands between the two.
    np.testing.assert_allclose(
        forward(folded, x, "conv1").output, forward(net, x, "batchnorm1").output, rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(forward(folded, x).output, forward(net, x).output, rtol=0, atol=2e-5)
    unfolded = forward(net, x, "conv1").output
    assert np.abs(forward(folded, x, "conv1").output - unfolded).max() > 0.1
    assert small().fold() == folded
    assert folded.fold() == folded


def test_folding_is_exact_where_float32_can_hold_it() -> None:
    arrays = {
        "linear1.weight": [[1, 2], [3, 4]],
        "batchnorm1.weight": [2, 8],
        "batchnorm1.bias": [1, -1],
        "batchnorm1.running_mean": [4, 16],
        "batchnorm1.running_var": [3, 15],
    }
    net = Sequential([Linear(2, 2, bias=False), BatchNorm(2, eps=1.0)], (2,))
    folded = net.prune({name: np.array(array) for name, array in arrays.items()}).fold().parameters
    assert {name: array.tolist() for name, array in folded.items()} == {
        "linear1.weight": [[1, 2], [6, 8]],
        "linear1.bias": [-3, -33],
    }


def test_description() -> None:
    rows = {row.name: row for row in small().initialize().describe()}
    assert list(rows) == list(small().names)
    conv = rows["conv1"]
    assert (conv.weights, conv.nnz, conv.density, conv.shape) == (72, 40, 40 / 72, (8, 8, 10))
    assert (conv.dense_macs, conv.macs) == (72 * 80, 40 * 80)
    # For each group of channels one list of 5 taps and a slot more: 2 bytes of input and 4 weights each; 2 boundaries.
    assert conv.nbytes == 2 * (6 * (2 + 4 * 4) + 2 * 8)
    assert rows["output"].nbytes == 4 * (36 + 3)
    assert rows["batchnorm1"].nbytes == 4 * 4 * 8
    assert (rows["relu1"].density, rows["relu1"].macs, rows["relu1"].nbytes) == (None, 0, 0)


def test_bytes_are_of_packed_weights() -> None:
    layer = Linear(64, 32, bias=False, pattern=Complementary(16), density=0.5)
    (row,) = Sequential([layer], (64,)).initialize().describe()
    # Two lists of 32 slots and one slot more: 2 bytes of input and 16 weights each; 3 list boundaries.
    assert row.nbytes == 65 * (2 + 16 * 4) + 3 * 8
    (row,) = (
        Sequential([Linear(64, 32, bias=False, pattern=Unstructured(), density=0.5)], (64,)).initialize().describe()
    )
    assert row.nbytes == 1025 * (2 + 4) + 33 * 8


def equal(one: Sequential, other: Sequential) -> bool:
    same = one == other and list(one.parameters) == list(other.parameters)
    return same and all(np.array_equal(one.parameters[name], other.parameters[name]) for name in one.parameters)


def test_round_trip(tmp_path: Path) -> None:
    for net in (small().initialize(2), small().prune(trained(small())), small().initialize(2).fold()):
        net.save(tmp_path / "net.npz")
        description = Sequential(net.layers, net.input_shape, net.name)
        again = description.load(tmp_path / "net.npz")
        assert equal(net, again)
        assert again.nonzeros() == net.nonzeros()
        for name in net.nonzeros():
            for one, other in zip(net.weights(name), again.weights(name), strict=True):
                assert np.array_equal(one.mask.allowed, other.mask.allowed)
                assert (one.mask.owner is None) == (other.mask.owner is None)
                assert one.mask.owner is None or np.array_equal(one.mask.owner, other.mask.owner)


def test_a_zero_weight_inside_the_mask_survives(tmp_path: Path) -> None:
    for pattern, density in PATTERNS:
        net = Sequential([Linear(20, 24, pattern=pattern, density=density)], (20,))
        zeros = net.prune({"linear1.weight": np.zeros((24, 20)), "linear1.bias": np.zeros(24)})
        zeros.save(tmp_path / "net.npz")
        assert net.load(tmp_path / "net.npz").nonzeros() == zeros.nonzeros()
        assert zeros.nonzeros()["linear1"] > 0


def test_saved_weights_are_a_source_of_weights(tmp_path: Path) -> None:
    net = small().initialize()
    net.save(tmp_path / "net.npz")
    matrix = sources.read(f"{tmp_path / 'net.npz'}!conv2.weight")
    assert np.array_equal(matrix.values, net.parameters["conv2.weight"].reshape(4, -1))


def test_torn_files(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    small().initialize().save(path)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"net\.npz: "):
            small().load(path)
    for at in range(len(whole) // 40, len(whole) - len(whole) // 3, len(whole) // 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            assert equal(small().load(path), small().initialize())
        except InputError:
            continue
    with pytest.raises(InputError, match=r"absent\.npz: cannot be read"):
        small().load(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="cannot be written"):
        small().initialize().save(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": np.asarray("csr")}, "holds format 'csr', not 'network'"),
        ({"version": np.asarray(2)}, "has version 2"),
        ({"layers": None}, "has no list of its layers"),
        ({"layers": np.array(["conv1: x"])}, "holds weights of 1 layers, the network has 11"),
        ({"conv1.owner": None}, "array 'conv1.owner' is missing"),
        (
            {"conv1.owner": np.zeros((2, 1, 8), np.int32)},
            r"'conv1.owner' is int32 \[2, 1, 8\]; it must be int32 \[2, 1, 9\]",
        ),
        ({"conv1.owner": np.zeros((2, 1, 9), np.int64)}, "'conv1.owner' is int64"),
        ({"conv1.owner": np.full((2, 1, 9), 7, np.int32)}, "'conv1.weight': owner ranges from 7 to 7"),
        (
            {"conv1.weight": np.ones((8, 1, 3, 3), np.float32)},
            "'conv1.weight': .*non-zero weights lie outside the mask",
        ),
        ({"linear1.weight": np.ones((12, 32), np.float32)}, "'linear1.weight': 288 non-zero weights lie outside"),
        ({"linear1.mask": np.zeros(47, np.uint8)}, r"'linear1.mask' is uint8 \[47\]; it must be uint8 \[48\]"),
        ({"linear1.bias": np.full(12, np.nan, np.float32)}, "array 'linear1.bias' holds NaN"),
        ({"extra.bias": np.zeros(2)}, "array 'extra.bias' belongs to no layer"),
        ({"output.bias": None}, r"array 'output.bias' \[3\] is missing"),
    ],
)
def test_files_of_something_else(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    path = tmp_path / "net.npz"
    small().initialize().save(path)
    with np.load(path) as archive:
        entries = dict(archive) | change
    np.savez(path, **{key: array for key, array in entries.items() if array is not None})
    with pytest.raises(InputError, match=f"net.npz: {says}"):
        small().load(path)


def test_owners_must_share_out_inputs_evenly(tmp_path: Path) -> None:
    net = Sequential([Linear(8, 8, bias=False, pattern=Complementary(4), density=0.5)], (8,))
    net.initialize().save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as archive:
        entries = dict(archive)
    entries["linear1.owner"][:] = 0
    entries["linear1.weight"][4:] = 0
    entries["linear1.weight"][:4] = 1
    np.savez(tmp_path / "net.npz", **entries)
    with pytest.raises(
        InputError, match=r"net.npz: 'linear1.weight': .*lane group 0 of set 0 owns 8 inputs; it must own 4"
    ):
        net.load(tmp_path / "net.npz")


def test_weights_of_another_network(tmp_path: Path) -> None:
    net = Sequential([Linear(8, 8, pattern=Complementary(4), density=0.5)], (8,))
    net.initialize().save(tmp_path / "net.npz")
    other = Sequential([Linear(8, 8, pattern=Complementary(4), density=0.25)], (8,))
    with pytest.raises(InputError, match=r"layers\[0\] is linear1: .*density=0.5\), the network's is .*density=0.25\)"):
        other.load(tmp_path / "net.npz")


@st.composite
def networks(draw: st.DrawFn) -> Sequential:
    """Draw a convolutional part, then a linear one; sizes are followed by hand, not by the code under test."""

    def pattern() -> dict[str, Any]:
        chosen, density = draw(st.sampled_from(PATTERNS))
        return {"pattern": chosen, "density": density}

    layers: list[Layer] = []
    channels, height, width = (draw(st.integers(1, 6)) for _ in range(3))
    shape = (channels, height, width)
    for _ in range(draw(st.integers(0, 3))):
        groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
        kernel = (draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width))))
        stride, margin = draw(st.integers(1, 2)), draw(st.integers(0, 1))
        out = groups * draw(st.integers(1, 4))
        layers.append(Conv2d(channels, out, kernel, stride=stride, padding=margin, groups=groups, **pattern()))
        channels = out
        height = len(range(0, height + 2 * margin - kernel[0] + 1, stride))
        width = len(range(0, width + 2 * margin - kernel[1] + 1, stride))
        follow = [[ReLU()], [KWinners2d(0.5)], [BatchNorm(channels), KWinners2d(0.3, local=False)], []]
        layers += draw(st.sampled_from(follow))
        if draw(st.booleans()) and height > 1 and width > 1:
            layers.append(MaxPool2d(2))
            height, width = height // 2, width // 2
    layers.append(Flatten())
    features = channels * height * width
    for _ in range(draw(st.integers(1, 2))):
        out = draw(st.integers(1, 20))
        layers += [
            Linear(features, out, bias=draw(st.booleans()), **pattern()),
            draw(st.sampled_from([GELU(), KWinners(0.4)])),
        ]
        features = out
    net = Sequential(layers, shape)
    assert net.output_shape == (features,)
    return net


@settings(max_examples=60, deadline=None)
@given(net=networks(), seed=st.integers(0, 3))
def test_any_network(tmp_path_factory: pytest.TempPathFactory, net: Sequential, seed: int) -> None:
    path = tmp_path_factory.mktemp("nets") / "net.npz"
    net = net.initialize(seed)
    outputs = forward(net, batch(net, 2), keep=True).outputs
    assert [output.shape for output in outputs.values()] == [(2, *shape) for shape in net.shapes]
    for row in net.describe():
        assert 0 <= row.nnz <= row.weights
        assert row.nnz * row.dense_macs == row.weights * row.macs
    net.save(path)
    assert equal(net.load(path), net)
    folded = net.fold()
    assert folded.output_shape == net.output_shape
    assert folded.nonzeros() == net.nonzeros()
