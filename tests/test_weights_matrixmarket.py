"""Weights from MatrixMarket files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from scipy.io import mmwrite

from sparsebench import weights
from sparsebench.errors import InputError

MATRICES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.one_of(st.just(0.0), st.floats(width=32, allow_nan=False, allow_infinity=False)),
)


def write(path: Path, kind: str, body: str) -> str:
    path.write_text(f"%%MatrixMarket matrix {kind}\n% a comment\n{body}\n")
    return str(path)


@given(dense=MATRICES, zipped=st.booleans())
@settings(max_examples=50, deadline=None)
def test_coordinates_are_read_as_they_were_written(
    dense: np.ndarray, zipped: bool, tmp_path_factory: pytest.TempPathFactory
):
    path = tmp_path_factory.mktemp("w") / "m.mtx"
    mmwrite(path, sparse.coo_array(dense), symmetry="general", precision=9)
    if zipped:
        path.with_name("m.mtx.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = path.with_name("m.mtx.gz")
    (ref,) = weights.expand(str(path))
    nnz = np.count_nonzero(dense)
    assert (ref.name, ref.rows, ref.cols, ref.stored_density) == ("m", *dense.shape, nnz / dense.size)
    matrix = weights.read(ref.address)
    np.testing.assert_array_equal(matrix.values, dense)
    np.testing.assert_array_equal(matrix.stored, dense != 0)


@given(dense=MATRICES)
@settings(max_examples=20, deadline=None)
def test_the_array_form_is_dense(dense: np.ndarray, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("w") / "m.mtx"
    mmwrite(path, dense, symmetry="general", precision=9)
    (ref,) = weights.expand(str(path))
    assert (ref.rows, ref.cols, ref.stored_density) == (*dense.shape, None)
    matrix = weights.read(ref.address)
    assert matrix.stored is None
    np.testing.assert_array_equal(matrix.values, dense)


@pytest.mark.parametrize(("symmetry", "sign"), [("symmetric", 1), ("skew-symmetric", -1)])
def test_both_halves_of_a_symmetric_matrix_are_read(symmetry: str, sign: int, tmp_path: Path):
    diagonal = "" if sign < 0 else "2 2 7\n"
    size = 2 if sign < 0 else 3
    address = write(tmp_path / "m.mtx", f"coordinate real {symmetry}", f"3 3 {size}\n{diagonal}2 1 4\n3 1 5")
    expected = np.array([[0, 4 * sign, 5 * sign], [4, 7 if sign > 0 else 0, 0], [5, 0, 0]], np.float32)
    assert weights.expand(address)[0].stored_density == np.count_nonzero(expected) / 9
    matrix = weights.read(address)
    np.testing.assert_array_equal(matrix.values, expected)
    np.testing.assert_array_equal(matrix.stored, expected != 0)


def test_a_stored_zero_is_stored(tmp_path: Path):
    address = write(tmp_path / "m.mtx", "coordinate integer general", "2 2 2\n1 2 0\n2 1 3")
    matrix = weights.read(address)
    np.testing.assert_array_equal(matrix.stored, [[False, True], [True, False]])
    np.testing.assert_array_equal(matrix.values, [[0, 0], [3, 0]])


def test_a_pattern_gets_the_values_that_it_gets_as_smtx(tmp_path: Path):
    address = write(tmp_path / "m.mtx", "coordinate pattern general", "2 3 3\n1 1\n2 3\n2 1")
    (tmp_path / "m.smtx").write_text("2, 3, 3\n0 1 3\n0 0 2\n")
    for seed in (0, 1):
        market = weights.read(address, seed=seed)
        np.testing.assert_array_equal(market.values, weights.read(str(tmp_path / "m.smtx"), seed=seed).values)
        np.testing.assert_array_equal(market.stored, [[True, False, False], [True, False, True]])


@pytest.mark.parametrize(
    "kind", ["coordinate complex general", "coordinate complex hermitian", "array complex general"]
)
def test_complex_numbers_are_refused(kind: str, tmp_path: Path):
    address = write(tmp_path / "m.mtx", kind, "1 1 1\n1 1 2 0" if kind.startswith("coord") else "1 1\n2 3")
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match="are complex numbers; weights must be real, integer or pattern"):
            act(address)


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("coordinate real general", "2 2 2\n1 1 3\n1 1 4", "the entry of row 1, column 1 is there twice"),
        ("coordinate real general", "2 2 1\n3 1 3", "not a sound MatrixMarket file: Line 4"),
        ("coordinate real general", "2 2 1\n0 1 3", "not a sound MatrixMarket file: Line 4"),
        ("coordinate real general", "2 2 1\n-1 1 3", "not a sound MatrixMarket file: Line 4"),
        ("coordinate real general", "2 2 1\n1 1 x", "not a sound MatrixMarket file: Line 4"),
        ("coordinate real general", "2 2 2\n1 1 3", "not a sound MatrixMarket file"),
        ("coordinate real general", "2 2 1\n1 1 3\n2 2 3", "not a sound MatrixMarket file"),
        ("coordinate real general", "2 2 1\n1 1 nan", r"m\.mtx' holds nan at row 0, column 0"),
        ("coordinate real general", "2 2 1\n2 1 inf", r"m\.mtx' holds inf at row 1, column 0"),
        ("coordinate real general", "2 2 1\n2 1 1e60", r"m\.mtx' holds inf at row 1, column 0"),
        ("array real general", "1 2\n1\nnan", r"m\.mtx' holds nan at row 0, column 1"),
        ("array real general", "2 2\n1\n2\n3", "not a sound MatrixMarket file"),
        ("coordinate real general", "1000000000 1000000000 1\n1 1 1", "GiB of memory"),
    ],
)
def test_each_bad_body_is_refused(kind: str, body: str, message: str, tmp_path: Path):
    address = write(tmp_path / "m.mtx", kind, body)
    with pytest.raises(InputError, match=message):
        weights.read(address)


@pytest.mark.parametrize("body", ["0 3 0", "3 0 0"])
def test_an_empty_matrix_is_refused(body: str, tmp_path: Path):
    address = write(tmp_path / "m.mtx", "coordinate real general", body)
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=r"is empty \([03] x [03]\)"):
            act(address)


@pytest.mark.parametrize("name", ["m.mtx", "m.mtx.gz"])
@pytest.mark.parametrize("content", [b"", b"1 2 3\n", b"%%MatrixMarket matrix coordinate real wrong\n1 1 1\n1 1 1\n"])
def test_a_file_without_the_header_is_refused(name: str, content: bytes, tmp_path: Path):
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match="not a sound MatrixMarket file"):
            act(str(tmp_path / name))


@pytest.mark.parametrize("keep", [0, 5, 30, -9])
def test_an_archive_cut_short_is_refused(keep: int, tmp_path: Path):
    text = "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 3\n"
    (tmp_path / "m.mtx.gz").write_bytes(gzip.compress(text.encode())[:keep])
    with pytest.raises(InputError, match="not a sound MatrixMarket file"):
        weights.read(str(tmp_path / "m.mtx.gz"))
