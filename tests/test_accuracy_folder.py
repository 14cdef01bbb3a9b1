"""What a study leaves on disk survives a crash, and is read as far as it is undamaged."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from studies import RECORD, trained

from sparsebench.accuracy.folder import EPOCHS, RESULTS, TRAININGS, AccuracyFolder
from sparsebench.accuracy.folder import RECORD as RECORD_FILE
from sparsebench.accuracy.results import Timing, TrainingResult, rows
from sparsebench.errors import InputError


def made(path: Path) -> AccuracyFolder:
    folder = AccuracyFolder.create(path, RECORD)
    for seed in range(2):
        folder.append(trained(seed=seed))
        folder.append(trained("complementary/1", 0.85, seed=seed))
    return folder


REFERENCE = sorted(p.parent for p in (Path(__file__).parents[1] / "reports" / "reference").rglob(RECORD_FILE))


@pytest.mark.parametrize("path", REFERENCE, ids=lambda path: path.name)
def test_committed_studies_are_read(path: Path) -> None:
    folder = AccuracyFolder.open(path)
    assert folder.results()
    with (path / RESULTS).open(encoding="utf-8", newline="") as stream:
        assert {row["name"] for row in csv.DictReader(stream)} == folder.finished()


def test_finished_trainings_are_read_back(tmp_path: Path) -> None:
    folder = made(tmp_path / "s")
    again = AccuracyFolder.open(tmp_path / "s")
    assert again.results() == folder.results() and again.finished() == {result.name for result in folder.results()}
    assert again.timings() == {} and again.speed() is None
    with (tmp_path / "s" / RESULTS).open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["accuracy"] for row in table] == ["0.9", "0.85", "0.9", "0.85"]
    assert table[0]["reached_linear1"] == "0.6" and table[0]["time_dense_s"] == ""
    assert table[0]["ties_sparse_dense"] == "1"
    assert "not complete (4 of 8 trainings)" in again.warnings()[0]


def test_a_study_that_chose_a_recipe_says_so(tmp_path: Path) -> None:
    folder = AccuracyFolder.create(tmp_path / "s", RECORD | {"validate": True, "finished": "now"})
    assert folder.warnings() == ["judged by a part of the training data (--validate): these are no test accuracies"]


def test_a_torn_line_costs_its_training_and_is_mended(tmp_path: Path) -> None:
    made(tmp_path / "s")
    path = tmp_path / "s" / TRAININGS
    path.write_bytes(path.read_bytes()[:-20])
    opened = AccuracyFolder.open(tmp_path / "s")
    assert opened.torn and len(opened.results()) == 3
    assert any("torn" in warning for warning in opened.warnings())
    folder = AccuracyFolder.resume(tmp_path / "s")
    folder.append(trained("complementary/1", 0.85, seed=1))
    assert len(AccuracyFolder.open(tmp_path / "s").results()) == 4
    assert len(path.read_text().splitlines()) == 4


def test_damaged_lines_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    made(tmp_path / "s")
    path = tmp_path / "s" / TRAININGS
    lines = path.read_text().splitlines(keepends=True)
    record = json.loads(lines[1])
    path.write_text("".join([lines[0], json.dumps(record | {"accuracy": 1.5}) + "\n", "{\n", *lines[2:]]))
    folder = AccuracyFolder.open(tmp_path / "s")
    assert len(folder.results()) == 3
    assert any("line 2: accuracy is 1.5" in warning for warning in folder.warnings())


@pytest.mark.parametrize(
    "wrong",
    [{"accuracy": None}, {"accuracy": 0.5}, {"status": "fine"}, {"correct": "zz"}, {"correct": ""}, {"more": 1}],
)
def test_results_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    record = json.loads(json.dumps(asdict(trained())))
    assert TrainingResult.from_json(record) == trained()
    with pytest.raises((ValueError, TypeError)):
        TrainingResult.from_json(record | wrong)


def test_one_process_at_a_time_writes(tmp_path: Path) -> None:
    folder = made(tmp_path / "s")
    with pytest.raises(InputError, match="another process is writing"):
        AccuracyFolder.resume(tmp_path / "s")
    assert len(folder.results()) == 4


def test_folders_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it does not exist"):
        AccuracyFolder.open(tmp_path / "s")
    (tmp_path / "s").mkdir()
    with pytest.raises(InputError, match=RECORD_FILE):
        AccuracyFolder.open(tmp_path / "s")
    (tmp_path / "s" / "thing").touch()
    with pytest.raises(InputError, match="is not empty"):
        AccuracyFolder.create(tmp_path / "s", RECORD)
    with pytest.raises(InputError, match="has a ':' in it"):
        AccuracyFolder.create(tmp_path / "a:b", RECORD)


def test_the_log_has_a_line_an_epoch(tmp_path: Path) -> None:
    folder = AccuracyFolder.create(tmp_path / "s", RECORD)
    folder.log("one", {"epoch": 1, "loss": 0.5})
    assert json.loads((tmp_path / "s" / EPOCHS).read_text()) == {"training": "one", "epoch": 1, "loss": 0.5}


def test_rows_have_what_was_timed() -> None:
    result = trained("complementary/1")
    times = {result.name: {"sparse-sparse": Timing(2e-6, 1e-6, 3e-6)}}
    row, other = rows([result, replace(result, name="x", reached={"conv2": 0.5})], times)
    assert (row["time_sparse_sparse_s"], row["time_sparse_sparse_low_s"], row["time_dense_s"]) == (2e-6, 1e-6, None)
    assert row.keys() == other.keys() and row["reached_conv2"] is None and other["time_sparse_sparse_s"] is None
