"""``sparsebench model --what-if`` and ``sparsebench prune`` as a user meets them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from model_files import save_cnn
from test_cli import sparsebench

SHAPE = ("--input-shape", "x=1x3x16x16")
QUICK = (*SHAPE, "--what-if", "0.75", "--patterns", "complementary/8,unstructured", "--budget", "0.5")


def test_a_model_is_explored_and_the_run_is_an_ordinary_one(tmp_path: Path) -> None:
    save_cnn(tmp_path / "net.onnx")
    done = sparsebench("model", "net.onnx", *QUICK, "--kernels", "complementary,csr,*dense", "--out", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(len(line.rstrip()) for line in done.stdout.splitlines()) <= 80
    assert "net.onnx, 75% sparse, 1 thread" in done.stdout
    assert "net.onnx, the whole model, 1 thread" in done.stdout
    assert "padding that differs from side to side" in " ".join(done.stdout.split())
    assert "layers: 6 in 5 shapes; seconds" in done.stderr
    if find_spec("onnxruntime"):
        assert "in ONNX Runtime" in done.stdout and "Softmax" in done.stdout
    else:
        assert "pip install onnxruntime" in " ".join(done.stdout.split())
    plain = sparsebench("report", "r", cwd=tmp_path)
    assert plain.returncode == 0 and "model-net" in plain.stdout
    again = sparsebench("report", "r", "--what-if", cwd=tmp_path)
    assert again.stdout == done.stdout


def test_an_interrupted_exploration_is_resumed(tmp_path: Path) -> None:
    save_cnn(tmp_path / "net.onnx")
    chosen = ("--kernels", "csr,*dense", "--layers", "fc", "--layers", "head")
    first = sparsebench("model", "net.onnx", *QUICK, *chosen, "--out", "r", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    lines = (tmp_path / "r/cases.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "r/cases.jsonl").write_text("".join(lines[:3]))
    partly = sparsebench("report", "r", "--what-if", "--format", "csv", cwd=tmp_path)
    assert "not measured yet" in partly.stdout
    done = sparsebench("run", "--resume", "r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "net.onnx, the whole model" in done.stdout
    assert len((tmp_path / "r/cases.jsonl").read_text().splitlines()) >= len(lines)


def test_a_dry_run_lists_and_measures_nothing(tmp_path: Path) -> None:
    save_cnn(tmp_path / "net.onnx")
    done = sparsebench("model", "net.onnx", *SHAPE, "--what-if", "0.9,0.7", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "  csr  T=1" in done.stdout
    assert "not unstructured+0.9: depthwise (16x1x3x3@8x8 g16): of the 9 weights of a row" in done.stderr
    assert "not complementary/8+0.7" in done.stderr
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--what-if", "95", *SHAPE], "--what-if '95': a sparsity is a share of zeros"),
        (["--what-if", "", *SHAPE], "--what-if needs sparsities"),
        (["--what-if", "0.9"], "--input-shape x=1x3x16x16"),
        (["--what-if", "0.9", *SHAPE, "--patterns", "blok"], "pattern 'blok' is not known"),
        (["--what-if", "0.9", *SHAPE, "--layers", "hed"], "--layers 'hed' names no layer; nearest: head"),
        (["--what-if", "0.9", *SHAPE, "--kernels", "cssr"], "kernel 'cssr' is none for the model's layers"),
        (["--what-if", "0.9", *SHAPE, "--threads", "0"], "a thread count must be at least 1"),
        (["--what-if", "stored", *SHAPE], "none of its weights is zero"),
        (["--threads", "1"], "are for --what-if"),
    ],
)
def test_bad_options(arguments: list[str], says: str, tmp_path: Path) -> None:
    save_cnn(tmp_path / "net.onnx")
    done = sparsebench("model", "net.onnx", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "reports").exists()


def test_a_model_is_pruned(tmp_path: Path) -> None:
    save_cnn(tmp_path / "net.onnx")
    command = ("prune", "net.onnx", "--pattern", "block/4x4", "--sparsity", "0.75", "--skip", "stem", "-o", "out.onnx")
    done = sparsebench(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "net.onnx, pruned to block/4x4+0.75" in done.stdout
    assert "dense: 1, first stem: left out by --layers or --skip" in " ".join(done.stdout.split())
    assert "written: out.onnx, out.packed" in done.stderr
    again = sparsebench(*command, cwd=tmp_path)
    assert again.returncode == 2 and "--force" in again.stderr
    forced = sparsebench(*command, "--force", "--format", "json", cwd=tmp_path)
    assert forced.returncode == 0
    rows = json.loads(forced.stdout)
    assert [row["reason"] for row in rows if row["pattern"] is None] == ["left out by --layers or --skip"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--density", "0.1", "--sparsity", "0.9", "-o", "out.onnx"], "one of them"),
        (["-o", "out.onnx"], "one of them"),
        (["--sparsity", "95", "-o", "out.onnx"], "--sparsity is 95; it must lie between 0 and 1"),
        (["--sparsity", "0.7", "-o", "out.onnx"], "the nearest densities are 1/4"),
        (["--sparsity", "0.9", "-o", "out.npz"], "is written as .onnx"),
        (["--sparsity", "0.9", "--pattern", "stored", "-o", "out.onnx"], "pattern 'stored' keeps what a file has"),
        (["--sparsity", "0.9", "-o", "out.onnx", "--format", "html"], "known: console, markdown, csv, json"),
    ],
)
def test_bad_options_of_prune(arguments: list[str], says: str, tmp_path: Path) -> None:
    save_cnn(tmp_path / "net.onnx")
    done = sparsebench("prune", "net.onnx", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx"}
