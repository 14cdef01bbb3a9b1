"""Formats: exact round trips through memory and files, and refusal of every corruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench import formats
from sparsebench.errors import InputError
from sparsebench.formats import FORMATS, BlockSparse, Complementary, Csr, Dense, Format
from sparsebench.memory import is_aligned
from sparsebench.patterns import parse_pattern

SIDES = st.sampled_from([1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 31, 33])
SPECIAL = np.array([-0.0, 1e-45, -1e-40, 3.4e38, -1.0, 0.0, 1 / 3], np.float32)


def matrix(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Return weights with signed zeros, denormals and the largest numbers among them."""
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((rows, cols)).astype(np.float32)
    special = rng.random(dense.shape) < 0.3
    dense[special] = rng.choice(SPECIAL, int(special.sum()))
    return dense


def masked(rows: int, cols: int, density: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    allowed = np.random.default_rng(seed + 1).random((rows, cols)) < density
    return np.where(allowed, matrix(rows, cols, seed), np.float32(0)), allowed


def overlaid(rows: int, cols: int, lanes: int, overlay: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    mask = parse_pattern(f"complementary/{lanes}").draw(rows, cols, 1 / overlay, np.random.default_rng(seed))
    assert mask.owner is not None
    return np.where(mask.allowed, matrix(rows, cols, seed), np.float32(0)), mask.owner


def assert_exact(packed: Format, dense: np.ndarray) -> None:
    packed.validate()
    unpacked = packed.unpack()
    assert unpacked.dtype == np.float32
    assert unpacked.shape == packed.shape == dense.shape
    assert is_aligned(unpacked)
    # Compared as bits, so that -0.0 differs from 0.0.
    assert np.array_equal(unpacked.view(np.uint32), dense.view(np.uint32))
    for key, (dtype, _) in packed.arrays.items():
        array = getattr(packed, key)
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.size == 0 or is_aligned(array)
    assert packed.nbytes == sum(getattr(packed, key).nbytes for key in packed.arrays)


def samples() -> list[Format]:
    dense, allowed = masked(13, 17, 0.3)
    shared, owner = overlaid(13, 17, 4, 3)
    return [
        Dense.pack(dense),
        Csr.pack(dense, allowed),
        BlockSparse.pack(dense, allowed, (4, 3)),
        Complementary.pack(shared, owner, 4, 3),
    ]


@settings(max_examples=50, deadline=None)
@given(rows=SIDES, cols=SIDES, density=st.sampled_from([0.0, 0.05, 0.5, 1.0]), seed=st.integers(0, 99))
def test_csr_and_dense_round_trip(rows: int, cols: int, density: float, seed: int) -> None:
    dense, allowed = masked(rows, cols, density, seed)
    packed = Csr.pack(dense, allowed)
    assert_exact(packed, dense)
    assert len(packed.values) == allowed.sum()
    assert packed.nbytes == 8 * allowed.sum() + 4 * (rows + 1)
    assert_exact(Dense.pack(dense), dense)


@settings(max_examples=50, deadline=None)
@given(
    rows=SIDES,
    cols=SIDES,
    r=st.sampled_from([1, 2, 4, 7, 16]),
    c=st.sampled_from([1, 3, 4, 8, 40]),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
)
def test_block_round_trip(rows: int, cols: int, r: int, c: int, density: float) -> None:
    dense, allowed = masked(rows, cols, density)
    packed = BlockSparse.pack(dense, allowed, (r, c))
    assert_exact(packed, dense)
    touched = sum(bool(allowed[i : i + r, j : j + c].any()) for i in range(0, rows, r) for j in range(0, cols, c))
    assert packed.values.shape == (touched, r, c)
    assert packed.indptr.shape == (-(-rows // r) + 1,)


@settings(max_examples=60, deadline=None)
@given(
    rows=SIDES,
    cols=SIDES,
    lanes=st.sampled_from([1, 4, 8, 16]),
    overlay=st.sampled_from([1, 2, 3, 10, 20]),
    seed=st.integers(0, 99),
)
def test_complementary_round_trip(rows: int, cols: int, lanes: int, overlay: int, seed: int) -> None:
    dense, owner = overlaid(rows, cols, lanes, overlay, seed)
    packed = Complementary.pack(dense, owner, lanes, overlay)
    assert_exact(packed, dense)
    assert packed.values.shape == (*owner.shape, lanes)
    for row in range(rows):
        at, within = divmod(row, overlay * lanes)
        group, lane = divmod(within, lanes)
        mine = owner[at] == group
        assert np.array_equal(packed.values[at, mine, lane], dense[row, mine])


def test_csr_agrees_with_scipy() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0, 2, 0], [0, 0, 0], [1, 0, -3]], np.float32)
    ours, theirs = Csr.pack(dense, dense != 0), sparse.csr_array(dense)
    assert np.array_equal(ours.indptr, theirs.indptr)
    assert np.array_equal(ours.indices, theirs.indices)
    assert np.array_equal(ours.values, theirs.data)


@pytest.mark.parametrize("packed", samples(), ids=list(FORMATS))
def test_file_round_trip(packed: Format, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    packed.save(path)
    for again in (formats.load(path), type(packed).load(path)):
        assert type(again) is type(packed)
        assert again.shape == packed.shape
        assert_exact(again, packed.unpack())
    with np.load(path) as archive:
        assert archive["format"].item() == packed.name
        assert archive["version"].item() == 1


def test_weights_outside_the_mask_are_refused() -> None:
    dense, allowed = masked(8, 8, 0.5)
    dense[~allowed] = 1
    lost = int((~allowed).sum())
    with pytest.raises(InputError, match=f"{lost} non-zero weights lie outside the mask"):
        Csr.pack(dense, allowed)
    only = np.zeros((8, 8), np.bool_)
    only[0, 0] = True
    with pytest.raises(InputError, match="outside the mask"):
        BlockSparse.pack(np.ones((8, 8), np.float32), only, (4, 4))
    with pytest.raises(InputError, match="outside the mask"):
        Complementary.pack(np.ones((8, 8), np.float32), np.zeros((1, 8), np.int32), 4, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w, m: Dense.pack(w.astype(np.float64)), "weights are float64"),
        (lambda w, m: Dense.pack(w[0]), r"must be float32 \[M, K\]"),
        (lambda w, m: Dense.pack(w[:0]), "not empty"),
        (lambda w, m: Csr.pack(w, m[1:]), r"mask is bool \[3, 6\]; it must be bool \[4, 6\]"),
        (lambda w, m: Csr.pack(w, m.astype(np.int8)), "mask is int8"),
        (lambda w, m: BlockSparse.pack(w, m, (0, 4)), "block is 0x4"),
        (lambda w, m: Complementary.pack(w, np.zeros((1, 6), np.int32), 0, 1), "lanes is 0"),
        (lambda w, m: Complementary.pack(w, np.zeros((2, 6), np.int32), 4, 1), r"owner is int32 \[2, 6\]"),
        (lambda w, m: Complementary.pack(w, np.zeros((1, 6), np.int64), 4, 1), "owner is int64"),
        (lambda w, m: Complementary.pack(w, np.ones((1, 6), np.int32), 4, 1), "owner ranges from 1 to 1"),
    ],
)
def test_bad_input_to_pack_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(np.zeros((4, 6), np.float32), np.ones((4, 6), np.bool_))


def test_too_many_entries_for_int32_are_refused() -> None:
    # A broadcast view: two billion positions without their memory.
    positions = np.broadcast_to(np.ones((1, 1), np.bool_), (2**16, 2**15))
    with pytest.raises(InputError, match="stores 2147483648 entries; int32 indices allow at most 2147483647"):
        formats.compressed.compress(positions)


def changed(array: np.ndarray, place: Any, value: float) -> np.ndarray:
    copy = array.copy()
    copy[place] = value
    return copy


# [[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 4, 5]]
CSR = Csr.pack(
    np.array([[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 4, 5]], np.float32),
    np.array([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1]], np.bool_),
)
BSR = BlockSparse.pack(np.ones((3, 5), np.float32), np.ones((3, 5), np.bool_), (2, 2))
SHARED, OWNER = overlaid(10, 6, 4, 2)
COMP = Complementary.pack(SHARED, OWNER, 4, 2)
DENSE = Dense.pack(np.ones((2, 3), np.float32))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (replace(DENSE, shape=(2, 4)), r"corrupted dense matrix: values has shape \[2, 3\]; it must be \[2, 4\]"),
        (replace(DENSE, shape=(0, 3)), "shape is .0, 3.; it must be two numbers, both at least 1"),
        (replace(DENSE, shape=(2, 3, 1)), "it must be two numbers"),
        (replace(DENSE, values=DENSE.values.astype(np.float64)), "values is float64 with 2 dimensions; .* float32"),
        (replace(DENSE, values=changed(DENSE.values, (1, 2), np.nan)), r"values\[1, 2\] is nan; it must be finite"),
        (replace(CSR, indptr=CSR.indptr[:-1]), r"indptr has shape \[3\]; it must be \[4\]"),
        (replace(CSR, indptr=CSR.indptr.astype(np.int64)), "indptr is int64"),
        (replace(CSR, indptr=changed(CSR.indptr, 0, 1)), r"indptr\[0\] is 1; it must be 0"),
        (replace(CSR, indptr=changed(CSR.indptr, 1, 9)), "indptr falls from 9 to 2 after row 1"),
        (replace(CSR, indptr=changed(CSR.indptr, 3, 4)), r"indices has shape \[5\]; it must be \[4\]"),
        (replace(CSR, indptr=changed(CSR.indptr, 3, -1)), "indptr falls from 2 to -1 after row 2"),
        (replace(CSR, indices=changed(CSR.indices, 1, 4)), r"indices\[1\] is 4; it must lie in 0 .. 3"),
        (replace(CSR, indices=changed(CSR.indices, 0, -1)), r"indices\[0\] is -1"),
        (replace(CSR, indices=changed(CSR.indices, 3, 1)), "indices of row 2: 1 occurs twice; they must ascend"),
        (replace(CSR, indices=changed(CSR.indices, 0, 3)), "indices of row 0: 3 stands before 2"),
        (replace(CSR, values=CSR.values[:-1]), r"values has shape \[4\]; it must be \[5\]"),
        (replace(CSR, values=changed(CSR.values, 4, np.inf)), r"values\[4\] is inf"),
        (replace(BSR, block=(2, 0)), "block is .2, 0.; it must be two numbers, both at least 1"),
        (replace(BSR, block=(1, 2)), "indptr has shape"),
        (replace(BSR, block=(2, 3)), r"it must lie in 0 .. 1"),
        (replace(BSR, indices=changed(BSR.indices, 4, 0)), "indices of block row 1: 0 occurs twice"),
        (replace(BSR, indptr=changed(BSR.indptr, 1, 7)), "indptr falls from 7 to 6 after block row 1"),
        (replace(BSR, values=BSR.values[:, :, :1]), r"values has shape \[6, 2, 1\]; it must be \[6, 2, 2\]"),
        (replace(BSR, values=changed(BSR.values, (0, 0, 0), -np.inf)), r"values\[0, 0, 0\] is -inf"),
        (replace(BSR, values=changed(BSR.values, (5, 1, 0), 1)), "a value in the padding, beyond 3 x 5, is not zero"),
        (replace(BSR, values=changed(BSR.values, (2, 0, 1), 1)), "a value in the padding"),
        (replace(COMP, lanes=0), "lanes is 0 and overlay is 2; both must be at least 1"),
        (replace(COMP, overlay=3), r"owner has shape \[2, 6\]; it must be \[1, 6\]"),
        (replace(COMP, owner=changed(OWNER, (0, 3), 2)), r"owner\[0, 3\] is 2; it must lie in 0 .. 1"),
        (replace(COMP, owner=changed(OWNER, (1, 2), -1)), r"owner\[1, 2\] is -1"),
        (replace(COMP, owner=changed(OWNER, 0, 0)), "lane group 0 of set 0 owns 6 inputs; it must own 3"),
        (replace(COMP, owner=changed(OWNER, 1, 1)), "lane group 0 of set 1 owns 0 inputs; it must own 3"),
        (replace(COMP, values=COMP.values[:, :, :3].copy()), r"values has shape \[2, 6, 3\]; it must be \[2, 6, 4\]"),
        (replace(COMP, values=changed(COMP.values, (1, 0, 0), np.nan)), r"values\[1, 0, 0\] is nan"),
        (replace(COMP, values=changed(COMP.values, (1, slice(None), 3), 1)), "a value for a row beyond 10 is not zero"),
    ],
)
def test_corruption_is_refused(broken: Format, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        broken.validate()
    path = tmp_path / "broken.npz"
    broken.save(path)
    with pytest.raises(InputError, match=message) as caught:
        formats.load(path)
    assert str(path) in str(caught.value)


def test_the_uncorrupted_matrices_are_valid() -> None:
    for packed in (DENSE, CSR, BSR, COMP):
        packed.validate()


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.99))
def test_torn_file_is_refused(share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("torn") / "torn.npz"
    CSR.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"torn\.npz: is not a complete \.npz file"):
        formats.load(path)


def test_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "flipped.npz"
    CSR.save(path)
    content = bytearray(path.read_bytes())
    content[content.index(CSR.values.tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not a complete \.npz file: Bad CRC-32"):
        formats.load(path)


def write_entries(path: Path, **entries: Any) -> None:
    with path.open("wb") as file:
        np.savez(file, **entries)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"values": np.ones(3)}, "has no entry 'format'; it was not written by sparsebench"),
        ({"format": "csr"}, "has no entry 'version'"),
        ({"format": "csr", "version": 2}, "has version 2; this sparsebench reads version 1"),
        ({"format": "coo", "version": 1}, "format 'coo' is not known; known: dense, csr, block, complementary"),
        ({"format": "dense", "version": 1, "shape": [2, 3]}, "lacks 'values', which format 'dense' needs"),
        (
            {"format": "dense", "version": 1, "shape": [2.5, 3], "values": DENSE.values},
            "'shape' is float64 .2.; it must be a list of whole",
        ),
        ({"format": "dense", "version": 1, "shape": 6, "values": DENSE.values}, r"'shape' is int64 \[\]; it must be"),
        ({"format": "dense", "version": 1, "shape": [2, 3], "values": np.array([{}])}, "is not a complete .npz file"),
    ],
)
def test_foreign_file_is_refused(entries: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.npz"
    write_entries(path, **entries)
    with pytest.raises(InputError, match=message):
        formats.load(path)


def test_unusable_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        formats.load(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        formats.load(tmp_path)
    with pytest.raises(InputError, match="cannot be written: No such file"):
        DENSE.save(tmp_path / "absent" / "weights.npz")
    (tmp_path / "text.npz").write_text("not an archive\n")
    with pytest.raises(InputError, match=r"is not a complete \.npz file"):
        formats.load(tmp_path / "text.npz")
    np.save(tmp_path / "single.npy", np.ones(3))
    with pytest.raises(InputError, match="is a single array"):
        formats.load(tmp_path / "single.npy")


def test_load_of_one_format_refuses_another(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    CSR.save(path)
    with pytest.raises(InputError, match="holds format 'csr', not 'dense'"):
        Dense.load(path)
