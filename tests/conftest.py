"""What several tests need: where the collection of real matrices is, and problems made into operands."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data"


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
