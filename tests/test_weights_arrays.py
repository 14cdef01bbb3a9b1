"""Weights from .npy and .npz."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib import format as npy

from sparsebench import weights
from sparsebench.errors import InputError

FINITE = {"allow_nan": False, "allow_infinity": False}
LAYERS = st.one_of(
    hnp.arrays(
        st.sampled_from(["<f2", ">f4", "<f4", "<f8"]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=7),
        elements=st.floats(width=16, **FINITE),
    ),
    hnp.arrays("<f4", hnp.array_shapes(min_dims=4, max_dims=4, max_side=4), elements=st.floats(width=32, **FINITE)),
    hnp.arrays(st.sampled_from(["i1", "u1", "<i8"]), (3, 2), elements=st.integers(0, 100)),
)


@given(array=LAYERS, fortran=st.booleans())
@settings(max_examples=50, deadline=None)
def test_what_is_saved_is_read_as_float32(array: np.ndarray, fortran: bool, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("w")
    expected = array.reshape(len(array), -1).astype(np.float32)
    stored = np.asfortranarray(array) if fortran else array
    np.save(folder / "w.npy", stored)
    np.savez(folder / "w.npz", fc1=stored, bias=np.zeros(3))
    for address, name in ((f"{folder / 'w.npy'}", "w"), (f"{folder / 'w.npz'}!fc1", "w/fc1")):
        (ref,) = weights.expand(address)
        assert (ref.address, ref.name, ref.rows, ref.cols) == (address, name, *expected.shape)
        assert ref.stored_density is None
        matrix = weights.read(address)
        assert matrix.stored is None
        assert matrix.values.dtype == np.float32
        assert matrix.values.flags.c_contiguous
        np.testing.assert_array_equal(matrix.values, expected)


def test_an_archive_stands_for_all_its_layers(tmp_path: Path):
    path = tmp_path / "net.npz"
    np.savez_compressed(
        path,
        fc=np.ones((2, 3)),
        conv=np.ones((4, 3, 2, 2)),
        bias=np.ones(2),
        text=np.array([["a", "b"]]),
        none=np.ones((0, 3)),
    )
    refs = weights.expand(str(path))
    assert [(ref.name, ref.rows, ref.cols) for ref in refs] == [("net/fc", 2, 3), ("net/conv", 4, 12)]
    with pytest.raises(InputError, match="are several: name one after '!': fc, conv"):
        weights.read(str(path))


def test_the_only_layer_of_an_archive_needs_no_name(tmp_path: Path):
    np.savez(tmp_path / "w.npz", fc=np.ones((2, 3)), bias=np.ones(2))
    assert weights.read(str(tmp_path / "w.npz")).values.shape == (2, 3)


def test_a_missing_array_suggests_the_nearest(tmp_path: Path):
    np.savez(tmp_path / "w.npz", encoder_weight=np.ones((2, 3)), other=np.ones((2, 3)))
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match="no array 'encoder_wieght'; nearest: encoder_weight"):
            act(f"{tmp_path / 'w.npz'}!encoder_wieght")


def test_an_archive_without_a_layer_says_what_it_holds(tmp_path: Path):
    np.savez(tmp_path / "w.npz", bias=np.ones(2))
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=r"no 2-D or 4-D array of real numbers; .* bias \(2 float64\)"):
            act(str(tmp_path / "w.npz"))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(3), r"is 1-D \(3\)"),
        (np.ones((2, 2, 2)), r"is 3-D \(2 x 2 x 2\)"),
        (np.float32(1), r"is 0-D \(scalar\)"),
        (np.ones((0, 3)), r"is empty \(0 x 3\)"),
        (np.ones((3, 0)), r"is empty \(3 x 0\)"),
        (np.ones((2, 2), complex), "complex128; weights are real"),
        (np.ones((2, 2), bool), "bool; weights are real"),
        (np.array([["a"]]), "<U1; weights are real"),
    ],
)
def test_what_is_no_layer_is_refused(array: np.ndarray, message: str, tmp_path: Path):
    np.save(tmp_path / "w.npy", array)
    np.savez(tmp_path / "w.npz", a=array)
    for address in (str(tmp_path / "w.npy"), f"{tmp_path / 'w.npz'}!a"):
        for act in (weights.expand, weights.read):
            with pytest.raises(InputError, match=message):
                act(address)


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf"), (1e300, "inf")])
def test_the_first_value_that_is_not_finite_is_named(value: float, shown: str, tmp_path: Path):
    array = np.zeros((3, 4))
    array[1, 2] = array[2, 0] = value
    np.save(tmp_path / "w.npy", array)
    with pytest.raises(InputError, match=rf"w\.npy' holds {shown} at row 1, column 2"):
        weights.read(str(tmp_path / "w.npy"))


def test_pickled_objects_are_refused(tmp_path: Path):
    np.save(tmp_path / "w.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match="object; weights are real"):
            act(str(tmp_path / "w.npy"))


def test_structured_arrays_with_names_beyond_latin1_are_refused(tmp_path: Path):
    with (tmp_path / "w.npy").open("wb") as stream:
        npy.write_array(stream, np.zeros((2, 2), [("a", "f4")]), version=(3, 0))
    with pytest.raises(InputError, match=r"version 3\.0 is not for plain numbers"):
        weights.expand(str(tmp_path / "w.npy"))


def test_a_shape_beyond_memory_is_refused_before_it_is_allocated(tmp_path: Path):
    with (tmp_path / "w.npy").open("wb") as stream:
        npy.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**7, 10**7)})
    with pytest.raises(InputError, match="GiB of memory"):
        weights.read(str(tmp_path / "w.npy"))


def test_a_long_header_is_read_too(tmp_path: Path):
    with (tmp_path / "w.npy").open("wb") as stream:
        npy.write_array(stream, np.eye(3), version=(2, 0))
    np.testing.assert_array_equal(weights.read(str(tmp_path / "w.npy")).values, np.eye(3))


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04"])
def test_a_file_of_another_kind_is_refused(ending: str, content: bytes, tmp_path: Path):
    path = tmp_path / f"w{ending}"
    path.write_bytes(content)
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=f"not a sound {ending} file"):
            act(str(path))


def saved(ending: str) -> bytes:
    stream = io.BytesIO()
    array = np.arange(600, dtype=np.float32).reshape(20, 30)
    if ending == ".npy":
        np.save(stream, array)
    else:
        np.savez_compressed(stream, a=array)
    return stream.getvalue()


@pytest.mark.parametrize("ending", [".npy", ".npz"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_is_an_input_error_or_other_values_but_nothing_else(
    ending: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
):
    content = bytearray(saved(ending))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, min(len(content), 400) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("w") / f"w{ending}"
    path.write_bytes(content)
    try:
        matrix = weights.read(str(path))
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert np.isfinite(matrix.values).all()
