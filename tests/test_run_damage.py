"""Every file of a run's folder, damaged in every way: a clear error, or the rest is read and the loss is said."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_run_folder import assert_in_step, make_group

from sparsebench.errors import InputError, StorageError
from sparsebench.report.frame import combine
from sparsebench.run_folder import CASES, RESULTS, RUN, SCHEMA_VERSION, RunFolder

WHOLE = [*make_group(10, "g1"), *make_group(20, "g2")]
GARBAGE = bytes(range(256)) * 3
REFERENCE = sorted(path.parent for path in (Path(__file__).parents[1] / "reports" / "reference").rglob("run.json"))


def halve(path: Path) -> None:
    # Within a line, not between two.
    os.truncate(path, path.stat().st_size // 2 - 9)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "truncated": halve,
    "garbage": lambda path: path.write_bytes(GARBAGE),
    "zeros": lambda path: path.write_bytes(bytes(4096)),
    "garbage behind": lambda path: path.write_bytes(path.read_bytes() + GARBAGE),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    groups = [
        {"suite": c.suite, "problem": c.problem, "kernels": [c.kernel], "threads": c.threads, "level": c.level}
        for c in WHOLE
    ]
    made = RunFolder.create(tmp_path / "run", {"finished": "now", "groups": groups})
    made.append(WHOLE[:4])
    made.append(WHOLE[4:])
    return made.path


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_record(folder: Path, damage: str) -> None:
    DAMAGES[damage](folder / RUN)
    for refused in (RunFolder.open, RunFolder.resume):
        with pytest.raises(InputError, match=f"{RUN} is damaged" if damage != "missing" else f"it has no {RUN}"):
            refused(folder)
    salvaged = RunFolder.open(folder, salvage=True)
    assert salvaged.results() == WHOLE
    (said,) = salvaged.warnings()
    assert "how the run was made is lost" in said
    assert len(combine([salvaged])) == len(WHOLE)


@pytest.mark.parametrize(
    ("damage", "read", "says"),
    [
        ("empty", 0, "8 of 8 cases are missing"),
        ("truncated", 3, "is torn; its case does not count"),
        ("garbage", 0, "the case on it is lost"),
        ("zeros", 0, "is torn"),
        ("garbage behind", 8, "is torn"),
    ],
)
def test_the_cases(folder: Path, damage: str, read: int, says: str) -> None:
    DAMAGES[damage](folder / CASES)
    left = RunFolder.open(folder)
    assert left.results() == WHOLE[:read]
    assert says in " ".join(left.warnings())
    assert left.complete == (read == 8)
    if left.complete:
        return
    # As `run --resume` does: what is missing is measured again, and the folder is whole.
    resumed = RunFolder.resume(folder)
    resumed.append([case for case in WHOLE if case.key not in resumed.finished()])
    assert {case.key for case in RunFolder.open(folder).results()} == {case.key for case in WHOLE}
    assert RunFolder.open(folder).complete
    assert_in_step(folder)


def test_no_cases_are_an_error(folder: Path) -> None:
    (folder / CASES).unlink()
    for salvage in (False, True):
        with pytest.raises(InputError, match=f"{CASES} is missing, and with it all results"):
            RunFolder.open(folder, salvage=salvage)


def test_where_nothing_can_be_read_a_report_says_why(folder: Path) -> None:
    (folder / CASES).write_bytes(b"?\n")
    with pytest.raises(InputError, match=r"no case is finished in .*line 1: not a JSON record"):
        combine([RunFolder.open(folder)])


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_table_derives_from_the_cases(folder: Path, damage: str) -> None:
    before = (folder / RESULTS).read_bytes()
    DAMAGES[damage](folder / RESULTS)
    assert RunFolder.open(folder).results() == WHOLE
    RunFolder.resume(folder).update(finished="later")
    assert (folder / RESULTS).read_bytes() == before


def test_a_newer_schema_is_refused_whatever_is_asked(folder: Path) -> None:
    newer = json.loads((folder / RUN).read_text()) | {"schema_version": SCHEMA_VERSION + 1}
    (folder / RUN).write_text(json.dumps(newer))
    for salvage in (False, True):
        with pytest.raises(InputError, match=r"newer than this sparsebench reads.*upgrade"):
            RunFolder.open(folder, salvage=salvage)


def test_cases_of_a_newer_version_are_read_as_far_as_they_are_known(folder: Path) -> None:
    records = [json.loads(line) for line in (folder / CASES).read_text().splitlines()]
    records[0] |= {"colour": "red"}
    records[1] |= {"status": "interesting"}
    (folder / CASES).write_text("".join(json.dumps(record) + "\n" for record in records))
    left = RunFolder.open(folder)
    assert left.results() == [WHOLE[0], *WHOLE[2:]]
    assert "status 'interesting' is not one of" in left.losses[0]


@pytest.mark.parametrize("version", [0, -1, True, 1.5, "1", None])
def test_a_schema_that_never_was_is_damage(folder: Path, version: Any) -> None:
    (folder / RUN).write_text(json.dumps({"schema_version": version}))
    with pytest.raises(InputError, match="is damaged, or not the record of a run"):
        RunFolder.open(folder)


@pytest.mark.parametrize("path", REFERENCE, ids=lambda path: path.name)
def test_runs_of_older_versions_are_read(path: Path) -> None:
    run = RunFolder.open(path)
    assert run.complete
    assert not run.losses
    assert len(run.frame()) == len(run.results()) > 0


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cut_anywhere_the_cases_before_are_whole(tmp_path: Path, data: st.DataObject) -> None:
    whole = b"".join(json.dumps(case.to_json()).encode() + b"\n" for case in WHOLE)
    cut = data.draw(st.integers(0, len(whole)))
    (tmp_path / RUN).write_text(f'{{"schema_version": {SCHEMA_VERSION}}}')
    (tmp_path / CASES).write_bytes(whole[:cut])
    left = RunFolder.resume(tmp_path)
    assert left.results() == WHOLE[: whole[:cut].count(b"\n")]
    left.append(WHOLE[len(left.results()) :])
    assert (tmp_path / CASES).read_bytes() == whole


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=5))
def test_bytes_changed_anywhere_never_crash_the_reader(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    raw = bytearray(b"".join(json.dumps(case.to_json()).encode() + b"\n" for case in WHOLE))
    for place, byte in changes:
        raw[place % len(raw)] = byte
    (tmp_path / RUN).write_text(f'{{"schema_version": {SCHEMA_VERSION}}}')
    (tmp_path / CASES).write_bytes(raw)
    left = RunFolder.open(tmp_path)
    assert len(left.results()) >= len(WHOLE) - 2 * len(changes)


class FullDisk:
    """A disk with room for so many bytes more: what is beyond is not written, as on a real one."""

    def __init__(self, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self._open = Path.open
        disk = self

        def opened(path: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            stream = disk._open(path, mode, *args, **kwargs)
            if not set(mode) & set("wa"):
                return stream
            write = stream.write

            class Stream:
                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None:
                    stream.close()

                def __getattr__(self, name: str) -> Any:
                    return getattr(stream, name)

                def write(self, data: Any) -> int:
                    written = write(data[: disk.room])
                    disk.room -= written
                    if written < len(data):
                        stream.flush()
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                    return int(written)

            return Stream()

        monkeypatch.setattr(Path, "open", opened)


@pytest.mark.parametrize("room", [0, 1, 700, 3000])
def test_a_full_disk_keeps_what_was_finished(folder: Path, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / CASES).read_bytes()
    run = RunFolder.resume(folder)
    run.update(note="mended")
    with monkeypatch.context() as patched:
        FullDisk(room, patched)
        with pytest.raises(StorageError) as error:
            run.append(make_group(30, "g3"))
    said = str(error.value)
    assert f"cannot write {folder / CASES}: No space left on device." in said
    assert "All 8 cases finished before are kept" in said
    assert f"sparsebench run --resume {folder}" in said
    assert (folder / CASES).read_bytes() == before
    assert run.results() == WHOLE
    # There is room again.
    run.append(make_group(30, "g3"))
    assert RunFolder.open(folder).results() == [*WHOLE, *make_group(30, "g3")]
    assert_in_step(folder)


def test_a_disk_that_is_full_for_the_table_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.resume(folder)
    run.update(note="mended")
    size = sum(len(json.dumps(case.to_json())) + 1 for case in make_group(30, "g3"))
    with monkeypatch.context() as patched:
        FullDisk(size + 10, patched)
        with pytest.raises(StorageError, match=f"cannot write .*{RESULTS}.*All 12 cases"):
            run.append(make_group(30, "g3"))
    assert RunFolder.open(folder).results() == [*WHOLE, *make_group(30, "g3")]
    run.update(note="mended again")
    assert_in_step(folder)


def test_a_disk_that_is_full_for_the_record_leaves_the_old_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.resume(folder)
    run.update(note="before")
    with monkeypatch.context() as patched:
        FullDisk(20, patched)
        with pytest.raises(StorageError, match=f"cannot write .*{RUN}"):
            run.update(note="after")
    assert RunFolder.open(folder).run["note"] == "before"
    assert sorted(path.name for path in folder.iterdir()) == [CASES, RESULTS, RUN]


def test_a_real_device_without_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full takes no byte: the real error of a real write."""
    run = RunFolder.resume(folder)
    run.update(note="mended")
    (folder / CASES).rename(folder / "aside")
    (folder / CASES).symlink_to("/dev/full")
    with pytest.raises(StorageError, match=f"cannot write {folder / CASES}: No space left on device"):
        run.append(make_group(30, "g3"))


def test_a_folder_that_cannot_be_written_cannot_be_resumed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = os.open

    def read_only(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *args, **kwargs)

    # Root may write anywhere, so permissions would prove nothing in a container.
    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(InputError, match=r"cannot write to the run at .*Read-only file system; copy it"):
        RunFolder.resume(folder)
    assert RunFolder.open(folder).results() == WHOLE


def test_what_a_killed_creation_leaves_is_written_over(tmp_path: Path) -> None:
    made = RunFolder.create(tmp_path / "run", {})
    (made.path / RUN).unlink()
    (made.path / f"{RUN}.tmp").write_text("{")
    del made
    RunFolder.create(tmp_path / "run", {}).append(WHOLE)
    assert RunFolder.open(tmp_path / "run").results() == WHOLE


@pytest.mark.parametrize("name", [CASES, RESULTS, "notes.txt"])
def test_what_others_left_is_not_written_over(tmp_path: Path, name: str) -> None:
    RunFolder.create(tmp_path, {})
    (tmp_path / RUN).unlink()
    (tmp_path / name).write_text("a\nb\n")
    with pytest.raises(InputError, match="not empty"):
        RunFolder.create(tmp_path, {})
    (tmp_path / name).unlink()
