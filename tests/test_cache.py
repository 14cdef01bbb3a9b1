from __future__ import annotations

from pathlib import Path

import pytest

from sparsebench.cache import cache_folder, write_whole


def test_the_cache_is_the_users_unless_another_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("SPARSEBENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "sparsebench"
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_whole(path, "one")
    write_whole(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
