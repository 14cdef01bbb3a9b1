from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparsebench import isa
from sparsebench.errors import UnavailableError


def test_the_highest_level_is_active(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(isa.VARIABLE, raising=False)
    assert isa.active() == isa.available()[-1]


@pytest.mark.parametrize("level", isa.available())
def test_a_level_can_be_forced(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isa.VARIABLE, level)
    assert isa.active() == level


def test_a_level_beyond_the_cpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isa, "detected", lambda: isa.built()[:1])
    monkeypatch.setattr(isa, "built", lambda: ["v2", "v3", "v4"])
    monkeypatch.setattr(isa, "detected", lambda: ["v2", "v3"])
    monkeypatch.setenv(isa.VARIABLE, "v4")
    with pytest.raises(UnavailableError, match=r"\$SPARSEBENCH_ISA: .*'v4' is more than this CPU has; .*v2, v3"):
        isa.active()


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(UnavailableError, match="'v9' is not a level"):
        isa.require("v9")


def test_a_level_that_was_not_built_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isa, "built", lambda: ["v2"])
    with pytest.raises(UnavailableError, match="'native' is not built"):
        isa.require("native")


def test_the_command_line_says_so_and_exits_with_2() -> None:
    environment = os.environ | {isa.VARIABLE: "v9", "PYTHONPATH": str(Path(isa.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "sparsebench", "list", "kernels"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'v9' is not a level" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("level", isa.available())
def test_a_module_is_of_its_level(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isa.level_of(isa.module("lane_engine", level).__name__) == level
    monkeypatch.setenv(isa.VARIABLE, level)
    assert isa.module("lane_engine") is isa.module("lane_engine", level)


def test_a_module_beyond_the_cpu_is_never_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isa, "built", lambda: ["v2", "v3"])
    monkeypatch.setattr(isa, "detected", lambda: ["v2"])
    with pytest.raises(UnavailableError, match="'v3' is more than this CPU has"):
        isa.module("lane_engine", "v3")
