"""``sparsebench accuracy`` as a user meets it: in a process of its own, killed and resumed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_cli import base_environment, sparsebench

from sparsebench import nets
from sparsebench.accuracy.folder import RECORD, TRAININGS, WEIGHTS, AccuracyFolder
from sparsebench.cli import main

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sparsebench.accuracy import conduct
from sparsebench.train import DivergedError

SUITE = """
title = "Quick"
data = "digits"
network = "mlp"
layers = ["linear1", "linear2"]
[recipe]
epochs = 3
lr = 4e-3
[fine_tune]
epochs = 1
lr = 1e-3
[[trainings]]
patterns = [{ name = "complementary", lanes = 16 }]
density = [0.1]
act_density = [1.0, 0.12]
start = ["static", "pruned"]
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the suite and its study, finished and timed."""
    place = tmp_path_factory.mktemp("accuracy")
    (place / "quick.toml").write_text(SUITE)
    done = sparsebench("accuracy", "quick.toml", "--threads", 1, "--out", "s", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "6 ok. Results: s/accuracy.csv" in done.stderr
    assert "accuracy, official, 90 % sparse" in done.stdout and "claims" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    return place


def test_a_study_has_accuracies_and_the_times_of_its_networks(quick: Path) -> None:
    frame = pd.read_csv(quick / "s" / "accuracy.csv")
    assert len(frame) == 6 and (frame["status"] == "ok").all()
    assert (frame.loc[frame["start"] == "static", "accuracy"] > 0.85).all()
    modes = ("dense", "sparse_dense", "sparse_sparse")
    assert (frame[[f"time_{mode}_s" for mode in modes]] > 0).all(axis=None)
    assert frame[[f"ties_{mode}" for mode in modes]].notna().all(axis=None)
    assert set(frame["nonzeros"]) == {126080, 15488}
    winners = frame[frame["act_density"] < 1]
    assert winners["reached_linear2"].between(0.11, 0.13).all()
    assert not list((quick / "s").glob("checkpoint*"))


def test_a_trained_network_can_be_run_again(quick: Path) -> None:
    place = quick / "s" / "networks" / "official-0-complementary-16-0.9-0.12"
    net = nets.load(place / "mlp.toml").load(place / WEIGHTS)
    assert net.fold().density == pytest.approx(0.123, abs=1e-3)
    done = sparsebench(
        "run", "--problem", f"network:{place / 'mlp.toml'}:1:f32;weights={place / WEIGHTS}", "--dry-run", cwd=quick
    )
    assert done.returncode == 0 and "net-sparse-sparse" in done.stdout


def test_a_finished_study_is_shown_and_resumed_to_nothing(quick: Path) -> None:
    shown = sparsebench("accuracy", "--show", "s", "--format", "markdown", cwd=quick)
    assert shown.returncode == 0 and "| complementary/16 | ReLU |" in shown.stdout
    before = (quick / "s" / TRAININGS).read_bytes()
    done = sparsebench("accuracy", "--resume", "s", "--quiet", cwd=quick)
    assert done.returncode == 0, done.stderr
    assert (quick / "s" / TRAININGS).read_bytes() == before


def test_a_study_killed_again_and_again_ends_with_the_same_networks(quick: Path) -> None:
    whole = {result.name: result for result in AccuracyFolder.open(quick / "s").results()}
    arguments = ["accuracy", "quick.toml", "--threads", "1", "--no-time", "--quiet", "--out", "k"]
    for count in (1, 3):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sparsebench", *arguments],
            cwd=quick,
            env=base_environment(),
            stderr=subprocess.PIPE,
        )
        path = quick / "k" / TRAININGS
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if path.exists() and path.read_bytes().count(b"\n") >= count:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        arguments = ["accuracy", "--resume", "k", "--quiet"]
    done = sparsebench(*arguments, cwd=quick)
    assert done.returncode == 0, done.stderr
    folder = AccuracyFolder.open(quick / "k")
    assert not folder.timings()
    found = {result.name: result for result in folder.results()}
    assert found.keys() == whole.keys()
    for name, result in found.items():
        assert (result.accuracy, result.correct) == (whole[name].accuracy, whole[name].correct)
    done = sparsebench(*arguments, "--time", cwd=quick)
    assert done.returncode == 0, done.stderr
    assert folder.timings().keys() == whole.keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a SUITE"),
        (["digits", "--show", "s"], "one of them"),
        (["nosuch"], "accuracy suite 'nosuch' is not known"),
        (["speech"], "name it by --data"),
        (["speech", "--data", "empty"], "no .wav file in 'empty'"),
        (["digits", "--threads", "4096"], "--threads 4096"),
        (["digits", "--format", "pdf"], "--format 'pdf' is not known"),
        (["digits", "--where", "lanes == 1"], "--where 'lanes == 1'"),
        (["--resume", "empty"], "is not the folder of a run"),
        (["--resume", "s", "--where", "seed == 0"], "--resume takes all from the folder"),
        (["--show", "s", "--validate"], "--show trains nothing"),
        (["--show", "nowhere"], "it does not exist"),
        (["digits", "--out", "s"], "is not empty"),
    ],
)
def test_mistakes_are_explained(
    quick: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (quick / "empty").mkdir(exist_ok=True)
    assert said(quick, arguments, monkeypatch) == 2
    assert message in capsys.readouterr().err


def said(cwd: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command line in this process, and return its exit code."""
    monkeypatch.chdir(cwd)
    monkeypatch.delenv("SPARSEBENCH_DATA", raising=False)
    monkeypatch.setattr(sys, "argv", ["sparsebench", "accuracy", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_a_dry_run_lists_trainings(
    quick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(quick, ["digits", "--dry-run", "--where", "act_density == 1"], monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "official-0-complementary-1-0.9\n" in shown and "0.12" not in shown


@pytest.mark.parametrize(
    ("line", "message"),
    [("noise_db = [20.0, 60.0]", "recipe.noise_db is for recordings"), ("flip = true", "are for maps")],
)
def test_recipes_that_would_have_no_effect_are_refused(
    quick: Path, line: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (quick / "idle.toml").write_text(SUITE.replace("lr = 4e-3", f"lr = 4e-3\n{line}"))
    assert said(quick, ["idle.toml", "--dry-run"], monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_diverging_recipe_stops_its_trainings_alone(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (quick / "wild.toml").write_text(SUITE.replace("lr = 4e-3", 'lr = 1e30\noptimizer = "sgd"'))
    assert said(quick, ["wild.toml", "--no-time", "--out", "w", "--threads", "1", "--quiet"], monkeypatch) == 4
    results = AccuracyFolder.open(quick / "w").results()
    assert [(result.start, result.status) for result in results] == [
        ("static", "diverged"),
        ("static", "diverged"),
        ("pruned", "skipped"),
        ("static", "diverged"),
        ("static", "diverged"),
        ("pruned", "skipped"),
    ]
    assert "the loss is" in results[0].error and "which it starts from" in results[2].error


def test_a_diverging_training_leaves_those_after_it_alone(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = conduct.fit, []

    def fit(*arguments: Any, **options: Any) -> float:
        seen.append(options["identity"])
        if len(seen) == 2:
            raise DivergedError("the loss is nan")
        return real(*arguments, **options)

    monkeypatch.setattr(conduct, "fit", fit)
    assert said(quick, ["quick.toml", "--no-time", "--out", "d", "--threads", "1", "--quiet"], monkeypatch) == 4
    assert [result.status for result in AccuracyFolder.open(quick / "d").results()] == ["ok", "diverged"] + 4 * ["ok"]


def test_a_checkpoint_left_by_a_kill_is_not_in_the_way(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if killed after a training was written down and before its checkpoint was removed."""
    shutil.copytree(quick / "s", quick / "c", ignore=shutil.ignore_patterns("speed"))
    folder = AccuracyFolder.open(quick / "c")
    first, second = (result.name for result in folder.results()[:2])
    lines = (quick / "c" / TRAININGS).read_text().splitlines(keepends=True)
    (quick / "c" / TRAININGS).write_text(lines[0])
    folder.checkpoint(first).write_bytes(b"of a training that is finished")
    assert said(quick, ["--resume", "c", "--no-time", "--quiet"], monkeypatch) == 0
    again = AccuracyFolder.open(quick / "c")
    assert second in again.finished() and len(again.results()) == 6
    assert not list((quick / "c").glob("checkpoint*"))


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [("data_sha256", "0" * 64, "was begun on other data"), ("network", "", "was begun with another network")],
)
def test_a_study_goes_on_with_what_it_was_begun_with_alone(
    quick: Path,
    entry: str,
    value: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(quick / "s", quick / entry)
    record = json.loads((quick / entry / RECORD).read_text())
    (quick / entry / RECORD).write_text(json.dumps(record | {entry: value}))
    assert said(quick, ["--resume", entry], monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_page_is_written_quietly_too(quick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--resume", "s", "--quiet", "--format", "html", "-o", "quiet.html"]
    assert said(quick, arguments, monkeypatch) == 0
    assert "<html" in (quick / "quiet.html").read_text()


def test_without_pytorch_the_command_that_installs_it_is_named(quick: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['sparsebench', 'accuracy', 'digits'];"
        " from sparsebench.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=quick,
        env=base_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "pip install 'sparsebench[train]'" in done.stderr


def test_nothing_else_imports_pytorch(quick: Path) -> None:
    code = (
        "import sys; from sparsebench.cli.app import app; import sparsebench.report.accuracy.tables, sparsebench.nets;"
        " import sparsebench.accuracy.plan, sparsebench.datasets; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=quick,
        env=base_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
