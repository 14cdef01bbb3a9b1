"""Locks among real processes: they are refused or warned about, and gone with whoever held them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparsebench import locks
from sparsebench.errors import InputError
from sparsebench.run_folder import RUN, RunFolder

HOLD_FOLDER = """
import sys
from pathlib import Path
from sparsebench.run_folder import RunFolder
folder = RunFolder.create(Path(sys.argv[1]), {"finished": "now"})
print("held", flush=True)
sys.stdin.read()
"""
HOLD_MACHINE = """
import sys
from sparsebench import locks
with locks.measuring(lambda text: print("warned:", text, flush=True)):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def process(program: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": str(Path(locks.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program, *map(str, arguments)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        try:
            while (line := running.stdout.readline()) not in ("held\n", ""):
                assert line.startswith("warned:")
            yield running
        finally:
            running.kill()


def test_a_folder_that_is_written_to_is_refused_and_can_be_read(tmp_path: Path) -> None:
    with process(HOLD_FOLDER, tmp_path / "run") as other:
        for write in (RunFolder.resume, lambda path: RunFolder.open(path).update(note="mine")):
            with pytest.raises(InputError, match=r"another process is writing to the run at .*pgrep"):
                write(tmp_path / "run")
        assert RunFolder.open(tmp_path / "run").run["finished"] == "now"
        other.send_signal(signal.SIGKILL)
        other.wait()
        RunFolder.resume(tmp_path / "run").update(note="mine")
    assert RunFolder.open(tmp_path / "run").run["note"] == "mine"


def test_a_folder_that_is_being_made_is_refused(tmp_path: Path) -> None:
    with process(HOLD_FOLDER, tmp_path / "run"):
        # Another has got as far as its lock, and no further.
        (tmp_path / "run" / RUN).unlink()
        with pytest.raises(InputError, match="another process is writing"):
            RunFolder.create(tmp_path / "run", {})


def test_what_was_read_before_another_wrote_is_not_written(tmp_path: Path) -> None:
    from test_run_folder import make_group

    RunFolder.create(tmp_path, {}).append(make_group())
    stale = RunFolder.open(tmp_path)
    RunFolder.open(tmp_path).append(make_group(20, "g2"))
    with pytest.raises(InputError, match="has grown since it was read"):
        stale.update(note="stale")


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(InputError, match=r"without locks .*put the run on a local disk"):
        RunFolder.create(tmp_path / "run", {})


def measured() -> list[str]:
    said: list[str] = []
    with locks.measuring(said.append):
        pass
    return said


def test_alone_nothing_is_said() -> None:
    assert measured() == measured() == []


def test_another_run_is_warned_about_by_whoever_comes_second() -> None:
    with process(HOLD_MACHINE) as other:
        assert len(measured()) == 1
        assert "another run was being measured on this machine when this one began" in measured()[0]
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert measured() == []


def test_and_by_whoever_came_first() -> None:
    said: list[str] = []
    with locks.measuring(said.append):
        assert said == []
        with process(HOLD_MACHINE):
            pass
    assert len(said) == 1
    assert "another run began on this machine before this one had ended" in said[0]


def test_of_three_runs_the_third_is_warned_though_the_first_has_ended() -> None:
    with process(HOLD_MACHINE) as first, process(HOLD_MACHINE):
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert "when this one began" in measured()[0]


def test_a_lock_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locks.VARIABLE, str(tmp_path / "absent" / "lock"))
    (said,) = measured()
    assert "is not known" in said
    assert locks.VARIABLE in said


def test_a_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    monkeypatch.setenv(locks.VARIABLE, str(tmp_path / "link"))
    assert "is not known" in measured()[0]
    assert not (tmp_path / "precious").exists()


def test_the_lock_is_every_users(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        measured()
    finally:
        os.umask(before)
    assert locks.machine_lock().stat().st_mode & 0o777 == 0o666
