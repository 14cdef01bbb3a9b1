"""Weights of .tflite models: whichever way round they lie, sparse as they are stored, and nothing that is not sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_files import Level, Op, T, compressed_rows, save

from sparsebench import weights
from sparsebench.errors import InputError
from sparsebench.weights.tflite_graph import Axis, Sparsity
from sparsebench.weights.tflite_sparse import positions

RNG = np.random.default_rng(0)
CONV = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}


def matrix(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.standard_normal(shape).astype(dtype)


def sparse(*shape: int, dtype: str = "float32") -> np.ndarray:
    return matrix(*shape, dtype=dtype) * (RNG.random(shape) < 0.3)


def fully_connected(path: Path, weight: T) -> str:
    x, y = T("x", [1, weight.shape[1]]), T("y", [1, weight.shape[0]])
    return save(path, [x, weight, y], [Op("FULLY_CONNECTED", [0, 1], [2])])


def rows(dense: np.ndarray, name: str = "w", dtype: str = "uint8", **changed: Any) -> T:
    values, levels = compressed_rows(dense, dtype)
    made = T(name, dense.shape, values, order=range(dense.ndim), levels=levels)
    for key, value in changed.items():
        setattr(made, key, value)
    return made


def test_each_operator_gives_its_weights_in_our_order(tmp_path: Path):
    conv, depthwise, full = matrix(6, 3, 2, 4), matrix(1, 3, 3, 6), matrix(5, 6)
    tensors = [
        T("x", [1, 8, 8, 4]), T("body/conv/Conv2D", conv.shape, conv), T("a", [1, 6, 7, 6]),
        T("body/norm/Fused;body/deep/depthwise", depthwise.shape, depthwise), T("b", [1, 4, 5, 6]),
        T("body/head/MatMul", full.shape, full), T("y", [20, 5]),
    ]  # fmt: skip
    ops = [
        Op("CONV_2D", [0, 1], [2], CONV),
        Op("DEPTHWISE_CONV_2D", [2, 3], [4], CONV | {"DepthMultiplier": 1}),
        Op("FULLY_CONNECTED", [4, 5], [6]),
    ]
    path = save(tmp_path / "m.tflite", tensors, ops)
    # A depthwise convolution is no one product, and is read only where it is named.
    assert [(ref.address, ref.rows, ref.cols) for ref in weights.expand(path)] == [
        (f"{path}!conv", 6, 24),
        (f"{path}!head", 5, 6),
    ]
    np.testing.assert_array_equal(weights.read(f"{path}!conv").values, conv.transpose(0, 3, 1, 2).reshape(6, 24))
    np.testing.assert_array_equal(weights.read(f"{path}!deep").values, depthwise.reshape(9, 6).T)
    np.testing.assert_array_equal(weights.read(f"{path}!body/head/MatMul").values, full)
    assert weights.read(f"{path}!head").stored is None
    with pytest.raises(InputError, match="are several: name one after '!': conv, head"):
        weights.read(path)
    with pytest.raises(InputError, match="no weight 'haed'; nearest: head"):
        weights.read(f"{path}!haed")


def test_half_floats_and_sparse_ones_are_found_behind_what_unpacks_them(tmp_path: Path):
    dense = sparse(4, 1, 1, 8, dtype="float16")
    packed = rows(dense, "body/conv/Conv2D_dequantize")
    tensors = [T("x", [1, 3, 3, 8]), packed, T("full", dense.shape, kind="float16"), T("float", dense.shape)]
    ops = [Op("DENSIFY", [1], [2]), Op("DEQUANTIZE", [2], [3]), Op("CONV_2D", [0, 3], [4], CONV)]
    path = save(tmp_path / "m.tflite", [*tensors, T("y", [1, 3, 3, 4])], ops)
    (ref,) = weights.expand(path)
    assert ref.name == "conv"
    assert ref.stored_density == np.count_nonzero(dense) / dense.size
    read = weights.read(ref.address)
    np.testing.assert_array_equal(read.values, dense.reshape(4, 8).astype(np.float32))
    np.testing.assert_array_equal(read.stored, read.values != 0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32"])
def test_compressed_rows_are_read_with_indices_of_each_type(dtype: str, tmp_path: Path):
    dense = sparse(6, 20)
    path = fully_connected(tmp_path / "m.tflite", rows(dense, dtype=dtype))
    np.testing.assert_array_equal(weights.read(path).values, dense)


def test_zeros_that_are_stored_stay_stored(tmp_path: Path):
    dense = sparse(4, 8)
    weight = rows(dense)
    assert weight.data is not None
    weight.data[0] = 0
    read = weights.read(fully_connected(tmp_path / "m.tflite", weight))
    assert read.stored is not None
    assert np.count_nonzero(read.stored) == np.count_nonzero(dense) == np.count_nonzero(read.values) + 1


def test_a_block_sparse_matrix_of_the_schemas_own_kind(tmp_path: Path):
    """4 x 4 in blocks of 2 x 2: block rows dense, block columns compressed, blocks row by row."""
    dense = np.array([[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 5, 6], [0, 0, 7, 0]], np.float32)
    levels = [Level(2), Level(0, [0, 1, 2], [0, 1]), Level(2), Level(2)]
    values = np.array([1, 2, 3, 4, 5, 6, 7, 0], np.float32)
    weight = T("w", [4, 4], values, order=[0, 1, 2, 3], blocks=[0, 1], levels=levels)
    read = weights.read(fully_connected(tmp_path / "m.tflite", weight))
    np.testing.assert_array_equal(read.values, dense)
    assert read.stored is not None
    assert np.count_nonzero(read.stored) == 8


def encode(dense: np.ndarray, order: list[int], blocks: list[int], sides: list[int], packed: set[int]) -> Any:
    """Store a tensor level by level, as plainly as can be: the positions of every level, one after another."""
    axes = dense.ndim
    side = dict.fromkeys(range(axes), 1) | dict(zip(blocks, sides, strict=True))
    sizes = [dense.shape[axis] // side[axis] for axis in order[:axes]] + [sides[named - axes] for named in order[axes:]]

    def cell(prefix: tuple[int, ...]) -> np.ndarray:
        """Return what of the tensor lies below a prefix of positions."""
        index: list[Any] = [None] * axes
        start = dict.fromkeys(range(axes), 0)
        length = {axis: dense.shape[axis] for axis in range(axes)}
        for place, at in enumerate(prefix):
            axis = order[place] if place < axes else blocks[order[place] - axes]
            length[axis] = side[axis] if place < axes else 1
            start[axis] += at * length[axis]
        for axis in range(axes):
            index[axis] = slice(start[axis], start[axis] + length[axis])
        return dense[tuple(index)]

    prefixes: list[tuple[int, ...]] = [()]
    levels = []
    for place, size in enumerate(sizes):
        children = [[(*prefix, at) for at in range(size)] for prefix in prefixes]
        if place in packed:
            children = [[child for child in nodes if cell(child).any()] for nodes in children]
            segments = np.cumsum([0, *map(len, children)])
            levels.append(Axis(0, segments, np.array([node[-1] for nodes in children for node in nodes], np.int64)))
        else:
            levels.append(Axis(size))
        prefixes = [child for nodes in children for child in nodes]
    return np.array([cell(prefix).item() for prefix in prefixes]), Sparsity(tuple(order), tuple(blocks), tuple(levels))


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_every_order_of_levels_decodes_to_the_tensor_that_was_encoded(data: st.DataObject):
    axes = data.draw(st.integers(1, 3))
    blocks = sorted(data.draw(st.sets(st.integers(0, axes - 1))))
    sides = [data.draw(st.integers(1, 3)) for _ in blocks]
    side = dict.fromkeys(range(axes), 1) | dict(zip(blocks, sides, strict=True))
    shape = tuple(data.draw(st.integers(1, 3)) * side[axis] for axis in range(axes))
    inner = data.draw(st.permutations(range(axes, axes + len(blocks))))
    order = [*data.draw(st.permutations(range(axes))), *inner]
    packed = data.draw(st.sets(st.integers(0, axes - 1)))
    seed = data.draw(st.integers(0, 1000))
    dense = np.random.default_rng(seed).integers(0, 2, shape) * np.arange(1, 1 + np.prod(shape)).reshape(shape)
    values, sparsity = encode(dense, order, blocks, sides, packed)
    found = positions(shape, sparsity, "w")
    full = np.zeros(dense.size)
    full[found] = values
    np.testing.assert_array_equal(full.reshape(shape), dense)
    assert len(set(found.tolist())) == len(found)


DENSE = np.array([[1, 0, 2, 0], [0, 0, 0, 3], [4, 5, 0, 0]], np.float32)
FAULTS = {
    "an index out of range": ([Level(3), Level(0, [0, 2, 3, 5], [0, 4, 3, 0, 1])], "index 1 is 4; the axis has 4"),
    "a negative index": ([Level(3), Level(0, [0, 2, 3, 5], [0, -1, 3, 0, 1], "int32")], "index 1 is -1"),
    "an index twice": ([Level(3), Level(0, [0, 2, 3, 5], [2, 2, 3, 0, 1])], "index 1 is 2 after 2; a list must rise"),
    "segments that fall": ([Level(3), Level(0, [0, 3, 2, 5], [0, 2, 3, 0, 1])], "fall in between"),
    "segments too short": ([Level(3), Level(0, [0, 2, 5], [0, 2, 3, 0, 1])], "3 segments; 3 lists need 4"),
    "segments beyond the indices": ([Level(3), Level(0, [0, 2, 3, 6], [0, 2, 3, 0, 1])], "rise from 0 to the 5"),
    "a row too many": ([Level(4), Level(0, [0, 2, 3, 5, 5], [0, 2, 3, 0, 1])], "level 0 has 4 positions; axis 0 has 3"),
    "values too few": ([Level(3), Level(0, [0, 2, 3, 4], [0, 2, 3, 0])], "5 values; the indices describe 4"),
    "a level too few": ([Level(3)], "1 levels in an order of 2"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_sparse_levels_that_are_not_sound_are_refused(fault: str, tmp_path: Path):
    levels, message = FAULTS[fault]
    path = fully_connected(tmp_path / "m.tflite", rows(DENSE, levels=levels))
    with pytest.raises(InputError, match=message):
        weights.read(path)


@pytest.mark.parametrize(
    ("order", "blocks", "levels", "message"),
    [
        ([0, 0], [], [Level(3), Level(4)], "does not name each axis"),
        ([2, 1, 0], [0], [Level(1), Level(4), Level(3)], "does not name each axis"),
        ([0, 1, 2], [2], [Level(3), Level(4), Level(1)], "the block map"),
        ([0, 1, 2], [1], [Level(3), Level(2), Level(3)], "blocks of 3 do not divide axis 1 of 4"),
        ([0, 1, 2], [1], [Level(3), Level(2), Level(0, [0], [])], "inside the blocks, is compressed"),
    ],
)
def test_orders_and_blocks_that_are_not_sound_are_refused(order, blocks, levels, message, tmp_path: Path):
    path = fully_connected(tmp_path / "m.tflite", rows(DENSE, order=order, blocks=blocks, levels=levels))
    with pytest.raises(InputError, match=message):
        weights.read(path)


def test_a_dense_tensor_of_the_wrong_length_is_refused(tmp_path: Path):
    path = fully_connected(tmp_path / "m.tflite", T("w", [3, 4], matrix(3, 3)))
    with pytest.raises(InputError, match=r"9 values; the shape \[3, 4\] needs 12"):
        weights.read(path)


def test_names_that_several_tensors_would_have_are_numbered(tmp_path: Path):
    held = [matrix(4, 4) for _ in range(3)]
    names = ["a/fc/MatMul", "b/fc/MatMul", "b/fc/MatMul"]
    tensors = [T("x", [1, 4]), *(T(name, [4, 4], values) for name, values in zip(names, held, strict=True))]
    ops = [Op("FULLY_CONNECTED", [0, number], [0]) for number in (1, 2, 3)]
    path = save(tmp_path / "m.tflite", tensors, ops)
    assert len({ref.name for ref in weights.expand(path)}) == 3
    for ref, values in zip(weights.expand(path), held, strict=True):
        np.testing.assert_array_equal(weights.read(ref.address).values, values)


def test_other_files_and_damaged_ones_are_refused(tmp_path: Path):
    sound = Path(fully_connected(tmp_path / "m.tflite", rows(sparse(8, 16)))).read_bytes()
    other = tmp_path / "other.tflite"
    for content, message in (
        (b"", "is not a .tflite model; it is empty"),
        (b"PK\x03\x04" + bytes(60), "is not a .tflite model; it begins like a zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (sound[: len(sound) // 2], "is damaged or cut short"),
        (sound[:12], "is damaged or cut short"),
    ):
        other.write_bytes(content)
        for act in (weights.expand, weights.read):
            with pytest.raises(InputError, match=message):
                act(str(other))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_changed_byte_leads_to_anything_but_a_message(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("damaged")
    path = Path(fully_connected(folder / "m.tflite", rows(DENSE)))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        for ref in weights.expand(str(path)):
            assert weights.read(ref.address).values.shape == (ref.rows, ref.cols)
    except InputError:
        pass


def test_weights_of_other_types_are_no_weights_of_ours(tmp_path: Path):
    path = fully_connected(tmp_path / "m.tflite", T("w", [3, 4], np.ones((3, 4), np.int8)))
    with pytest.raises(InputError, match="no CONV_2D or FULLY_CONNECTED with float weights"):
        weights.expand(path)
