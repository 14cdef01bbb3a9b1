"""Addresses: what they name, what they refuse, and what is read again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sparsebench import weights
from sparsebench.errors import InputError
from sparsebench.patterns import Unstructured

DATA = Path(__file__).parents[2] / "shared/data/dlmc"


def write_smtx(path: Path, text: str = "2, 3, 2\n0 1 2\n0 2\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_random_is_not_read_from_a_file():
    with pytest.raises(InputError, match="'random' are not read from a file"):
        weights.read("random")


def test_an_empty_address_is_refused():
    with pytest.raises(InputError, match="an address is a path"):
        weights.expand("")


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"gone\.npy: No such file"):
        weights.read(str(tmp_path / "gone.npy"))


def test_an_unknown_ending_lists_the_known_ones(tmp_path: Path):
    (tmp_path / "w.csv").write_text("1,2")
    with pytest.raises(InputError, match=r"'w\.csv' is not one .*\.npy, .*, \.smtx, \.onnx, \.tflite, "):
        weights.expand(str(tmp_path / "w.csv"))


def test_a_selector_without_a_name_is_refused(tmp_path: Path):
    np.savez(tmp_path / "w.npz", a=np.ones((2, 2)))
    with pytest.raises(InputError, match="the name after '!' is missing"):
        weights.read(f"{tmp_path / 'w.npz'}!")


def test_an_exclamation_mark_may_be_part_of_a_folder(tmp_path: Path):
    folder = tmp_path / "really!"
    folder.mkdir()
    np.savez(folder / "w.npz", a=np.ones((2, 3)))
    (ref,) = weights.expand(f"{folder / 'w.npz'}!a")
    assert weights.read(ref.address).values.shape == (2, 3)


def test_an_unreadable_file_is_the_persons_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_smtx(tmp_path / "w.smtx")

    def denied(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=r"cannot be read.*Permission denied"):
            act(str(path))


def test_a_folder_names_every_smtx_below_it_in_order(tmp_path: Path):
    for name in ("b/two.smtx", "a/one.smtx", "top.smtx"):
        write_smtx(tmp_path / name)
    (tmp_path / "a/notes.txt").write_text("no matrix")
    refs = weights.expand(str(tmp_path))
    assert [ref.name for ref in refs] == ["one", "two", "top"]
    assert [ref.address for ref in refs] == [str(tmp_path / name) for name in ("a/one.smtx", "b/two.smtx", "top.smtx")]
    assert all((ref.rows, ref.cols, ref.stored_density) == (2, 3, 2 / 6) for ref in refs)


def test_files_called_alike_are_named_by_their_paths(tmp_path: Path):
    for name in ("0.9/q.smtx", "0.95/q.smtx"):
        write_smtx(tmp_path / name)
    assert [ref.name for ref in weights.expand(str(tmp_path))] == ["0.9/q", "0.95/q"]


def test_an_empty_folder_is_refused(tmp_path: Path):
    for act in (weights.expand, weights.read):
        with pytest.raises(InputError, match=r"no \.smtx file below"):
            act(str(tmp_path))


def test_a_folder_is_not_one_matrix(tmp_path: Path):
    write_smtx(tmp_path / "a/one.smtx")
    with pytest.raises(InputError, match=r"folder of 1 \.smtx files; name one, for example 'a/one\.smtx'"):
        weights.read(str(tmp_path))


def test_data_addresses_stay_portable(tmp_path: Path):
    write_smtx(tmp_path / "net/a.smtx")
    write_smtx(tmp_path / "net/b.smtx")
    expected = ["data:net/a.smtx", "data:net/b.smtx"]
    for address in ("data:", "data:net", "data:net/"):
        refs = weights.expand(address, data=tmp_path)
        assert [ref.address for ref in refs] == expected
    assert weights.expand("data:net/b.smtx", data=tmp_path)[0].address == expected[1]
    assert weights.read(expected[0], data=tmp_path).values.shape == (2, 3)


def test_data_addresses_carry_selectors(tmp_path: Path):
    np.savez(tmp_path / "w.npz", a=np.ones((2, 3)), b=np.ones((4, 5)))
    refs = weights.expand("data:w.npz", data=tmp_path)
    assert [ref.address for ref in refs] == ["data:w.npz!a", "data:w.npz!b"]
    assert weights.read("data:w.npz!b", data=tmp_path).values.shape == (4, 5)


def test_the_data_folder_comes_from_the_environment_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_smtx(tmp_path / "env/a.smtx")
    write_smtx(tmp_path / "given/a.smtx", "1, 1, 1\n0 1\n0\n")
    monkeypatch.setenv("SPARSEBENCH_DATA", str(tmp_path / "env"))
    assert weights.read("data:a.smtx").values.shape == (2, 3)
    assert weights.read("data:a.smtx", data=tmp_path / "given").values.shape == (1, 1)


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_data_folder_the_message_says_how_to_give_one(value: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SPARSEBENCH_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("SPARSEBENCH_DATA", value)
    with pytest.raises(InputError, match=r"--data DIR or \$SPARSEBENCH_DATA"):
        weights.expand("data:")


def test_a_data_folder_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="is not a folder"):
        weights.expand("data:", data=tmp_path / "gone")


def test_an_equal_call_shares_the_arrays_and_nobody_can_write_to_them(tmp_path: Path):
    path = write_smtx(tmp_path / "w.smtx")
    first = weights.read(str(path))
    assert weights.read(str(path)) is first
    assert weights.read(str(path), seed=1) is not first
    for array in (first.values, first.stored):
        assert array is not None
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_a_rewritten_file_is_read_again(tmp_path: Path):
    path = tmp_path / "w.npy"
    np.save(path, np.zeros((2, 2)))
    assert weights.read(str(path)).values[0, 0] == 0
    np.save(path, np.ones((2, 2)))
    os.utime(path, ns=(1, 1))
    assert weights.read(str(path)).values[0, 0] == 1


def test_relative_addresses_follow_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "w.npy", np.full((1, 1), value))
        os.utime(tmp_path / name / "w.npy", ns=(1, 1))
        monkeypatch.chdir(tmp_path / name)
        assert weights.read("w.npy").values[0, 0] == value


@pytest.mark.skipif(not DATA.is_dir(), reason="the Deep Learning Matrix Collection is not at ../shared/data/dlmc")
def test_the_collection_reads_as_its_headers_say():
    refs = weights.expand("data:", data=DATA)
    assert len(refs) == 151
    smallest = sorted(refs, key=lambda ref: ref.rows * ref.cols)[:3]
    for ref in smallest:
        matrix = weights.read(ref.address, data=DATA)
        assert matrix.stored is not None
        assert matrix.values.shape == (ref.rows, ref.cols)
        assert matrix.stored.mean() == pytest.approx(ref.stored_density)
        pruned = Unstructured().prune(matrix.values, ref.stored_density)
        np.testing.assert_array_equal(pruned.allowed, matrix.stored)
