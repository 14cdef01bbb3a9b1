"""``sparsebench model`` as a user meets it: its formats, its tables and its messages."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from test_cli import sparsebench
from test_models import network
from test_models_onnx import matrix, node, save

from sparsebench import models
from sparsebench.report import model_listing, model_tables


def listing(model: models.Model, form: str) -> str:
    stream = io.StringIO()
    model_listing.write(model, models.study(model.layers), stream, form=form)
    return stream.getvalue()


@pytest.fixture
def model(tmp_path: Path) -> models.Model:
    return models.load(network(tmp_path / "m.tflite"))


def test_the_command_lists_a_model(tmp_path: Path):
    path = network(tmp_path / "m.tflite")
    shown = sparsebench("model", path, cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "3 layers, 282 weights of 382 parameters" in shown.stdout
    assert re.search(r"conv +CONV_2D +6x4x3x3 +25 +5\.40k +864 +0\.0% +dense", shown.stdout)
    assert "not layers of ours, and in no total: 2 CUSTOM Warp, 1 TRANSPOSE_CONV" in " ".join(shown.stdout.split())
    assert max(map(len, shown.stdout.splitlines())) <= 80
    written = sparsebench("model", path, "--batch", "2", "--format", "json", "-o", "m.json", cwd=tmp_path)
    assert (written.returncode, written.stdout) == (0, "")
    assert [layer["columns"] for layer in json.loads((tmp_path / "m.json").read_text())["layers"]] == [2, 2, 24]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.onnx"], "No such file"),
        (["m.tflite", "--format", "html"], "--format 'html' is not known here; known: console, markdown, csv, json"),
        (["m.tflite", "--input-shape", "1x2"], "does not have the form NAME=SIZES, such as x=1x3x224x224"),
        (["m.tflite", "--input-shape", "y=1x2"], "has no input 'y'; it has x"),
        (["short.tflite"], "is damaged or cut short"),
        (["m.onnx"], "it begins like a TFLite model"),
        (["m.tflite", "-o", "none/m.txt"], "cannot write --output"),
    ],
)
def test_what_a_user_gets_wrong_is_said_in_a_line(arguments: list[str], message: str, tmp_path: Path):
    content = Path(network(tmp_path / "m.tflite")).read_bytes()
    (tmp_path / "short.tflite").write_bytes(content[:100])
    (tmp_path / "m.onnx").write_bytes(content)
    shown = sparsebench("model", *arguments, cwd=tmp_path)
    assert shown.returncode == 2
    assert shown.stderr.startswith("sparsebench: ")
    assert message in shown.stderr
    assert "Traceback" not in shown.stderr


def test_sizes_that_are_open_are_asked_for_and_no_error(tmp_path: Path):
    nodes = [node("MatMul", ["x", "w"], "y")]
    path = save(tmp_path / "m.onnx", nodes, {"w": matrix(4, 3)}, {"x": ["n", 4]})
    text = listing(models.load(path), "markdown")
    assert "| w | MatMul | 3x4 | ? | ? | 48 | 0.0% | dense |" in text
    assert "- N and multiply-adds of 1 of 1 layers are not known" in text
    assert "for example --input-shape x=1x4" in text
    assert "| w | MatMul | 3x4 | 7 | 84 | 48 | 0.0% | dense |" in listing(models.load(path, batch=7), "markdown")


def test_csv_has_a_line_for_each_layer_and_every_pattern(model: models.Model):
    rows = list(csv.DictReader(io.StringIO(listing(model, "csv"))))
    assert [row["name"] for row in rows] == ["conv", "deep", "head"]
    assert (rows[0]["stride"], rows[0]["pads"], rows[0]["height"], rows[0]["groups"]) == ("2x2", "1x0x1x1", "9", "1")
    assert rows[0]["efficiency block/4x4"] == ""
    head, found = rows[2], models.study(model.layers[2:])[0]
    efficiency = {fit.pattern: fit.efficiency for fit in found.fits}
    for name in ("block/4x4", "complementary/8", "rows", "columns"):
        assert float(head[f"efficiency {name}"]) == efficiency[name]
    assert f"{head['n of 4']}:4" in efficiency
    assert (int(head["nnz"]), head["sparse"], head["address"]) == (found.nnz, "True", model.layers[2].address)


def test_json_has_everything(model: models.Model):
    whole = json.loads(listing(model, "json"))
    assert whole["skipped"] == {"TRANSPOSE_CONV": 1, "CUSTOM Warp": 2}
    assert whole["inputs"] == [{"name": "x", "shape": [1, 9, 10, 4]}]
    assert whole["layers"][0]["conv"]["output"] == [5, 5]
    assert whole["layers"][2]["conv"] is None
    patterns = {fit["pattern"] for fit in whole["layers"][2]["fits"]}
    assert {"block/16x1", "complementary/1", "rows"} <= patterns


def test_names_are_short_in_a_terminal_and_whole_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    name = "a_network_of_many_parts/its_encoder/its_eleventh_layer/its_attention/its_query/weight"
    save_file({name: np.eye(512, dtype=np.float32)}, tmp_path / "m.safetensors")
    model = models.load(str(tmp_path / "m.safetensors"))
    monkeypatch.setenv("COLUMNS", "80")
    text = listing(model, "console")
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"a_network\w*…\w*/weight", text)
    assert name not in text
    assert name in listing(model, "markdown")
    assert name in listing(model, "csv")


def test_numbers_are_short_and_none_looks_like_what_it_is_not():
    shown = {
        0: "0",
        7: "7",
        999: "999",
        1000: "1.00k",
        9_999: "10.0k",
        12_345: "12.3k",
        999_600: "1.00M",
        2e13: "20.0T",
    }
    assert {number: model_tables.amount(number) for number in shown} == shown
    shares = {0: "0.0%", 1e-5: "<0.1%", 0.5: "50.0%", 0.99999: ">99.9%", 1: "100.0%"}
    assert {share: model_tables.percent(share) for share in shares} == shares
