"""A run killed at any moment loses nothing that was finished, and goes on to the same cases."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
from test_cli import base_environment
from test_run_folder import assert_in_step

from sparsebench.run_folder import RUN, Key, RunFolder

KILLS = 20
SUITE = """
title = "Quick"
baseline = "numpy-dense"
[[problems]]
shapes = [[32, 48], [40, 24], [24, 16]]
n = [1, 5]
patterns = [{ name = "block", rows = 4, cols = 4 }, { name = "unstructured" }]
density = 0.25
kernels = ["csr", "block", "numpy-dense"]
"""
FRESH = ("run", "quick.toml", "--budget", "1", "--threads", "1", "--out", "r", "--quiet")
RESUME = ("run", "--resume", "r", "--quiet")


def start(cwd: Path, arguments: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "sparsebench", *arguments],
        cwd=cwd,
        env=base_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said


def whole_run(cwd: Path) -> tuple[set[Key], float]:
    """Run undisturbed; return its cases and how long it took, without the ceilings, which are measured once."""
    began = time.monotonic()
    end(start(cwd, FRESH))
    run = RunFolder.open(cwd / "r")
    return run.finished(), time.monotonic() - began - run.run["seconds"]["ceilings"]


def runs(process: psutil.Process) -> bool:
    """Whether a process runs; who it is left to may not have reaped it yet."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_after(process: subprocess.Popen[str], seconds: float) -> bool:
    """Kill a run, and see its workers end; False if it had ended by itself."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        deadline = time.monotonic() + 10
        while alive := [child for child in family if runs(child)]:
            assert time.monotonic() < deadline, f"outlived their parent: {alive}"
            time.sleep(0.01)
        return True
    end(process)
    return False


def test_killed_at_random_moments_a_run_goes_on_to_the_same_cases(tmp_path: Path) -> None:
    rng = random.Random(5)
    (tmp_path / "quick.toml").write_text(SUITE)
    expected, duration = whole_run(tmp_path)
    assert len(expected) == 12 * 3
    kills = finished_runs = 0
    while kills < KILLS:
        cwd = tmp_path / f"run{finished_runs}"
        cwd.mkdir()
        (cwd / "quick.toml").write_text(SUITE)
        known: set[Key] = set()
        while kills < KILLS and kill_after(
            start(cwd, RESUME if (cwd / "r" / RUN).exists() else FRESH), rng.uniform(0, 0.7 * duration)
        ):
            kills += 1
            if (cwd / "r" / RUN).exists():
                now = RunFolder.open(cwd / "r")
                assert known <= now.finished() <= expected
                assert not now.losses
                known = now.finished()
        end(start(cwd, RESUME if (cwd / "r" / RUN).exists() else FRESH))
        run = RunFolder.open(cwd / "r")
        assert run.finished() == expected
        assert run.complete
        assert_in_step(cwd / "r")
        finished_runs += 1
