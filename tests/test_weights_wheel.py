"""Files inside wheels, with wheels made here in place of a registry."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sparsebench import weights
from sparsebench.errors import InputError
from sparsebench.weights import wheel

ADDRESS = "pypi:Toy.Net==1.2#toy_net/model/w.npy"


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


CONTENT = npy(np.arange(6, dtype=np.float32).reshape(2, 3))
MEMBERS = {
    "toy_net/model/w.npy": CONTENT,
    "toy_net/model/two.npz": npz(a=np.ones((2, 2)), b=np.ones((3, 4))),
    "toy_net/notes.txt": b"no weights",
}


def make_wheel(folder: Path, version: str = "1.2", members: dict[str, bytes] = MEMBERS) -> Path:
    info = f"toy_net-{version}.dist-info"
    path = folder / f"toy_net-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: toy-net\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: here\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip finds wheels, and nowhere else; the cache is `tmp_path / "cache"`."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def cached(shop: Path, tmp_path: Path) -> Path:
    """A cache that holds the wheel already, and a shop that is empty."""
    folder = tmp_path / "cache/wheels/toy-net-1.2"
    folder.mkdir(parents=True)
    return make_wheel(folder)


def test_a_wheel_is_downloaded_once_and_its_member_read(shop: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    made = make_wheel(shop)
    (ref,) = weights.expand(ADDRESS)
    assert (ref.address, ref.name, ref.rows, ref.cols) == (ADDRESS, "w", 2, 3)
    made.unlink()
    np.testing.assert_array_equal(weights.read(ADDRESS).values, np.arange(6).reshape(2, 3))
    assert weights.read("pypi:toy_net==1.2#toy_net/model/two.npz!b").values.shape == (3, 4)
    assert capfd.readouterr() == ("", "")
    kept = sorted(
        path.relative_to(tmp_path / "cache").as_posix() for path in tmp_path.rglob("cache/**/*") if path.is_file()
    )
    assert kept == [
        "members/toy-net-1.2/toy_net/model/two.npz",
        "members/toy-net-1.2/toy_net/model/w.npy",
        "wheels/toy-net-1.2/toy_net-1.2-py3-none-any.whl",
    ]


def test_a_failed_download_tells_what_pip_said_and_leaves_nothing(shop: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"pip could not download the wheel: ERROR: .*Toy\.Net==1\.2"):
        weights.read(ADDRESS)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() or ".download" in path.name]


def test_an_interpreter_without_pip_is_told(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wheel.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="pip could not download the wheel: pip said nothing"):
        weights.read(ADDRESS)
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'No module named pip' >&2\necho >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(wheel.sys, "executable", str(script))
    with pytest.raises(InputError, match=r"pip could not download the wheel: No module named pip$"):
        weights.read(ADDRESS)


def test_the_references_of_an_archive_in_a_wheel_are_addresses_in_it(cached: Path):
    digest = hashlib.sha256(MEMBERS["toy_net/model/two.npz"]).hexdigest()
    address = f"pypi:toy-net==1.2#toy_net/model/two.npz@sha256={digest}"
    refs = weights.expand(address)
    assert [ref.address for ref in refs] == [f"{address}!a", f"{address}!b"]
    assert weights.read(refs[1].address).values.shape == (3, 4)


def test_the_digest_is_that_of_the_member(cached: Path):
    right = hashlib.sha256(CONTENT).hexdigest()
    assert weights.read(f"{ADDRESS}@sha256={right.upper()}").values.shape == (2, 3)
    wrong = hashlib.sha256(cached.read_bytes()).hexdigest()
    with pytest.raises(InputError, match=f"the sha256 of 'toy_net/model/w.npy' is {right}; {wrong} was asked for"):
        weights.read(f"{ADDRESS}@sha256={wrong}")


def test_a_member_that_changed_in_the_cache_is_noticed(cached: Path, tmp_path: Path):
    address = f"{ADDRESS}@sha256={hashlib.sha256(CONTENT).hexdigest()}"
    weights.read(address)
    (tmp_path / "cache/members/toy-net-1.2/toy_net/model/w.npy").write_bytes(npy(np.zeros((2, 4))))
    with pytest.raises(InputError, match="was asked for"):
        weights.read(address)


@pytest.mark.parametrize("member", ["toy_net/model/v.npy", "toy_net/model", "toy_net/model/w.npy!x"])
def test_a_wrong_member_suggests_the_nearest(member: str, cached: Path):
    with pytest.raises(InputError, match=rf"no member '{member}' in the wheel; nearest: .*toy_net/model/w\.npy"):
        weights.expand(f"pypi:toy-net==1.2#{member}")


def test_a_member_of_no_known_kind_is_refused(cached: Path):
    with pytest.raises(InputError, match=r"'notes\.txt' is not one that can be read"):
        weights.expand("pypi:toy-net==1.2#toy_net/notes.txt")


@pytest.mark.parametrize(
    "member", ["../w.npy", "/etc/w.npy", "toy_net/../../w.npy", "a\\..\\w.npy", "./toy_net/w.npy", ".."]
)
def test_a_member_outside_the_wheel_is_refused(member: str, shop: Path, tmp_path: Path):
    folder = tmp_path / "cache/wheels/toy-net-1.2"
    folder.mkdir(parents=True)
    make_wheel(folder, members={member: CONTENT})
    with pytest.raises(InputError, match="is not a plain path inside a wheel"):
        weights.read(f"pypi:toy-net==1.2#{member}")
    assert not (tmp_path / "cache/members").exists()


@pytest.mark.parametrize(
    "address",
    [
        "pypi:",
        "pypi:toy-net",
        "pypi:toy-net==1.2",
        "pypi:toy-net==1.2#",
        "pypi:toy-net#w.npy",
        "pypi:toy-net>=1.2#w.npy",
        "pypi:toy-net==1.*#w.npy",
        "pypi:==1.2#w.npy",
        "pypi:-toy==1.2#w.npy",
        "pypi:--index-url==1#w.npy",
        "pypi:toy net==1.2#w.npy",
        "pypi:../toy==1.2#w.npy",
        "pypi:toy==../1.2#w.npy",
    ],
)
def test_a_malformed_address_is_refused_with_the_form(address: str, shop: Path):
    with pytest.raises(InputError, match=r"are not of the form pypi:NAME==VERSION#path/inside/the/wheel"):
        weights.expand(address)


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "a" * 63])
def test_a_malformed_digest_is_refused(digest: str, shop: Path):
    with pytest.raises(InputError, match=f"'{digest}' is not a sha256, 64 hexadecimal digits"):
        weights.expand(f"{ADDRESS}@sha256={digest}")


def test_a_damaged_wheel_in_the_cache_is_refused(cached: Path):
    cached.write_bytes(cached.read_bytes()[:100])
    with pytest.raises(InputError, match=r"is damaged .*; delete it to download it again"):
        weights.read(ADDRESS)


def test_a_damaged_member_is_refused_and_not_kept(cached: Path, tmp_path: Path):
    content = cached.read_bytes()
    cached.write_bytes(content.replace(CONTENT, bytes([CONTENT[0] ^ 1]) + CONTENT[1:]))
    with pytest.raises(InputError, match="is damaged"):
        weights.read(ADDRESS)
    assert not [path for path in (tmp_path / "cache/members").rglob("*") if path.is_file()]


def test_a_cache_that_cannot_be_written_is_told(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "occupied").write_text("a file")
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(tmp_path / "occupied"))
    with pytest.raises(InputError, match=r"\$SPARSEBENCH_CACHE names another\) cannot be used"):
        weights.read(ADDRESS)
