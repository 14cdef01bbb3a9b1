"""What a worker shares with its parent, both sides in one process."""

from __future__ import annotations

import io
import mmap
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from sparsebench.bench import link
from sparsebench.bench.link import PAGE_BYTES, Link, Page, read_page


@pytest.fixture
def pages() -> Iterator[tuple[Page, mmap.mmap]]:
    with tempfile.TemporaryFile() as file:
        file.truncate(PAGE_BYTES)
        with mmap.mmap(file.fileno(), PAGE_BYTES) as seen:
            yield Page(file.fileno()), seen


def test_the_parent_sees_what_is_in_progress(pages: tuple[Page, mmap.mmap]) -> None:
    page, seen = pages
    assert read_page(seen) == (0.0, "", "")
    page.write("prepare", "mkl-dense")
    assert read_page(seen)[1:] == ("prepare", "mkl-dense")
    page.write("idle")
    assert read_page(seen)[1:] == ("idle", "")


def test_time_is_counted_by_stage(pages: tuple[Page, mmap.mmap], monkeypatch: pytest.MonkeyPatch) -> None:
    page, _ = pages
    clock = iter([10.0, 11.0, 13.0, 13.5, 20.0])
    monkeypatch.setattr(link, "monotonic", lambda: next(clock))
    for stage in ("measure", "measure", "verify", "measure", "idle"):
        page.write(stage)
    assert page.take_seconds() == {"measure": 1 + 2 + 6.5, "verify": 0.5}
    assert page.take_seconds() == {}


def test_a_worker_whose_parent_has_gone_ends() -> None:
    with pytest.raises(SystemExit):
        Link(io.StringIO(""), io.StringIO()).job()
    with pytest.raises(SystemExit):
        Link(io.StringIO('{"half a jo'), io.StringIO()).job()
    with pytest.raises(SystemExit):
        Link(io.StringIO(""), io.StringIO()).send({"event": "done"})


def test_events_are_lines_of_json_and_wait_for_an_answer() -> None:
    sent = io.StringIO()
    ends = Link(io.StringIO('{"groups": []}\ngo on\n'), sent)
    assert ends.job() == {"groups": []}
    ends.send({"event": "done"})
    assert sent.getvalue() == '{"event": "done"}\n'


def test_nothing_heavy_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import sparsebench.bench.link, sys; print('numpy' in sys.modules)"],
        env={"PYTHONPATH": str(link.__file__).rpartition("/sparsebench/")[0]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
