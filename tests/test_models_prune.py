"""Pruned models: the same graph with fewer weights, the weights packed, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from model_files import CNN, INPUT, save, save_cnn
from onnx import helper, numpy_helper

from sparsebench import formats, nets, patterns, weights
from sparsebench.errors import InputError
from sparsebench.models import load, pruned_file
from sparsebench.models.problems import Combination, chosen, combinations
from sparsebench.models.prune import INDEX, Pruned, prune
from sparsebench.patterns import Complementary


def pruned(path: Path | str, out: Path, label: str, density: float, **choice: list[str]) -> list[Pruned]:
    model = load(str(path))
    (wanted,) = combinations([label], [density])
    taken = chosen(model.layers, choice.get("take", []), choice.get("skip", []))
    found = prune(model.layers, taken, wanted, pruned_file.must_stay(model))
    pruned_file.write(model, found, wanted, out)
    return found


def held(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}


@pytest.mark.parametrize("label", ["complementary/8", "block/4x4", "unstructured"])
def test_onnx_is_the_same_graph_with_weights_of_the_pattern(tmp_path: Path, label: str) -> None:
    source = save_cnn(tmp_path / "net.onnx")
    found = pruned(source, tmp_path / "out.onnx", label, 0.25, skip=["depthwise"])
    before, after = onnx.load(str(source)), onnx.load(str(tmp_path / "out.onnx"))
    assert [node.SerializeToString() for node in before.graph.node] == [
        node.SerializeToString() for node in after.graph.node
    ]
    kept = {entry.first.name: entry for entry in found}
    for name, array in held(tmp_path / "out.onnx").items():
        ours = array.T if name == "fc" else array.reshape(len(array), -1)
        dense = CNN[name].T if name == "fc" else CNN[name].reshape(len(array), -1)
        if name == "depthwise":
            np.testing.assert_array_equal(array, CNN[name])
            continue
        wanted = patterns.parse_pattern(label).prune(np.ascontiguousarray(dense), 0.25)
        np.testing.assert_array_equal(ours, np.where(wanted.allowed, dense, 0))
        assert kept[name].density == wanted.nnz / dense.size
        share = kept[name].kept
        assert share is not None and share.l1 == pytest.approx(np.abs(ours).sum() / np.abs(dense).sum(), rel=1e-5)
    assert kept["depthwise"].reason == "left out by --layers or --skip"


@pytest.mark.parametrize("label", ["complementary/8", "block/4x4", "unstructured"])
def test_packed_weights_load_back(tmp_path: Path, label: str) -> None:
    pruned(save_cnn(tmp_path / "net.onnx"), tmp_path / "out.onnx", label, 0.25)
    folder = tmp_path / "out.packed"
    listed = json.loads((folder / INDEX).read_text())
    assert {name for entry in listed for name in entry["layers"]} == set(CNN)
    for entry in listed:
        packed = formats.load(folder / entry["file"])
        address = f"{tmp_path / 'out.onnx'}!{entry['layers'][0]}"
        np.testing.assert_array_equal(packed.unpack(), weights.read(address).values)
        assert packed.name == {"complementary/8": "complementary", "block/4x4": "block"}.get(label, "csr")


def test_external_data_stays_external(tmp_path: Path) -> None:
    source = save_cnn(tmp_path / "net.onnx", save_as_external_data=True, location="net.bin", size_threshold=0)
    (tmp_path / "out").mkdir()
    pruned(source, tmp_path / "out" / "small.onnx", "unstructured", 0.5, take=["fc"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"small.onnx", "small.onnx.data", "small.packed"}
    (tmp_path / "net.bin").unlink()
    found = held(tmp_path / "out" / "small.onnx")
    assert np.count_nonzero(found["fc"]) == CNN["fc"].size / 2
    np.testing.assert_array_equal(found["stem"], CNN["stem"])


def test_weights_of_the_model_itself_are_not_written_over(tmp_path: Path) -> None:
    source = save_cnn(tmp_path / "net.onnx", save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    before = (tmp_path / "net.onnx.data").read_bytes()
    source.rename(tmp_path / "old.onnx")
    with pytest.raises(InputError, match=r"net\.onnx\.data' holds weights of the model itself"):
        pruned_file.check_target(load(str(tmp_path / "old.onnx")), tmp_path / "net.onnx", force=True)
    (tmp_path / "other.onnx.data").touch()
    with pytest.raises(InputError, match=r"other\.onnx\.data' exists; --force"):
        pruned_file.check_target(load(str(tmp_path / "old.onnx")), tmp_path / "other.onnx", force=False)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        pruned_file.check_target(load(str(tmp_path / "old.onnx")), tmp_path / "folder.onnx", force=True)
    assert (tmp_path / "net.onnx.data").read_bytes() == before


def test_types_are_kept(tmp_path: Path) -> None:
    array = CNN["fc"].astype(np.float16)
    nodes = [helper.make_node("Cast", ["w"], ["v"], to=1), helper.make_node("MatMul", ["x", "v"], ["y"], name="fc")]
    source = save(tmp_path / "net.onnx", nodes, {"w": array}, [4, 16])
    pruned(source, tmp_path / "out.onnx", "unstructured", 0.5)
    found = held(tmp_path / "out.onnx")["w"]
    assert found.dtype == np.float16
    assert np.count_nonzero(found) == array.size / 2
    np.testing.assert_array_equal(found[found != 0], array[found != 0])


def test_what_others_read_stays_as_it_is(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["tied", "x"], ["e"], name="embedding"),
        helper.make_node("MatMul", ["e", "free"], ["m"], name="free"),
        helper.make_node("Gemm", ["m", "tied"], ["y"], name="head", transB=1),
    ]
    arrays = {"tied": CNN["fc"], "free": np.ones((24, 24), np.float32) + CNN["head"].mean()}
    source = save(tmp_path / "net.onnx", nodes, arrays, [4])
    found = pruned(source, tmp_path / "out.onnx", "unstructured", 0.5)
    assert {entry.first.name: entry.reason for entry in found} == {"tied": "also read by Gather", "free": ""}
    np.testing.assert_array_equal(held(tmp_path / "out.onnx")["tied"], CNN["fc"])


def test_a_tensor_used_twice_is_pruned_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"], name="one"),
        helper.make_node("MatMul", ["m", "w"], ["y"], name="two"),
    ]
    source = save(tmp_path / "net.onnx", nodes, {"w": CNN["stem"].reshape(16, 27)[:, :16].copy()}, [4, 16])
    (entry,) = pruned(source, tmp_path / "out.onnx", "unstructured", 0.5)
    assert len(entry.layers) == 2


def test_other_files_become_arrays_by_name(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    arrays = {"a/b.weight": CNN["head"], "conv": CNN["stem"], "file": CNN["fc"]}
    safetensors.save_file(arrays, tmp_path / "net.safetensors")
    pruned(tmp_path / "net.safetensors", tmp_path / "out.npz", "unstructured", 0.5, skip=["file"])
    with np.load(tmp_path / "out.npz") as found:
        assert {name: found[name].shape for name in found.files} == {n: array.shape for n, array in arrays.items()}
        assert np.count_nonzero(found["conv"]) == CNN["stem"].size / 2
        np.testing.assert_array_equal(found["file"], CNN["fc"])
    assert weights.read(f"{tmp_path / 'out.npz'}!a/b.weight").values.shape == (10, 24)


def test_nothing_to_prune_is_an_error(tmp_path: Path) -> None:
    model = load(str(save_cnn(tmp_path / "net.onnx")))
    (wanted,) = combinations(["unstructured"], [0.001])
    with pytest.raises(InputError, match=r"no layer of the model can be pruned to unstructured.*less than one"):
        prune(model.layers, model.layers, wanted, {})
    for density in (1.0, None):
        with pytest.raises(InputError, match="prunes nothing"):
            prune(model.layers, model.layers, Combination(patterns.Unstructured(), density), {})


def test_places_that_must_not_be_written_to(tmp_path: Path) -> None:
    model = load(str(save_cnn(tmp_path / "net.onnx")))
    for name, says in (
        ("out.npz", r"is written as \.onnx"),
        ("net.onnx", "is the model itself"),
        ("absent/out.onnx", "there is no folder"),
    ):
        with pytest.raises(InputError, match=says):
            pruned_file.check_target(model, tmp_path / name, True)
    (tmp_path / "out.packed").mkdir()
    with pytest.raises(InputError, match=r"out\.packed' exists; --force"):
        pruned_file.check_target(model, tmp_path / "out.onnx", False)
    pruned_file.check_target(model, tmp_path / "out.onnx", True)


def test_an_error_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = save_cnn(tmp_path / "net.onnx")
    pruned(source, tmp_path / "out.onnx", "unstructured", 0.5)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(pruned_file, "save_packed", full)
    with pytest.raises(InputError, match="cannot write somewhere: No space left"):
        pruned(source, tmp_path / "out.onnx", "unstructured", 0.25)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_it_is_written_over_as_a_whole(tmp_path: Path) -> None:
    source = save_cnn(tmp_path / "net.onnx")
    pruned(source, tmp_path / "out.onnx", "unstructured", 0.5)
    pruned(source, tmp_path / "out.onnx", "complementary/8", 0.25, take=["fc"])
    assert [path.name for path in sorted((tmp_path / "out.packed").iterdir())] == ["000-fc.npz", INDEX]
    np.testing.assert_array_equal(held(tmp_path / "out.onnx")["head"], CNN["head"])
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx", "out.onnx", "out.packed"}


def layers_of(**sparse: Any) -> nets.Sequential:
    return nets.Sequential(
        [
            nets.Conv2d(3, 32, 3, stride=2, padding=1, **sparse),
            nets.ReLU(),
            nets.MaxPool2d(2),
            nets.Flatten(),
            nets.Linear(32 * 4 * 4, 64, **sparse),
            nets.GELU(),
            nets.Linear(64, 10),
        ],
        (3, 16, 16),
    )


@pytest.mark.parametrize("batch", [None, 2])
def test_a_pruned_model_in_onnx_runtime_equals_our_network(tmp_path: Path, batch: int | None) -> None:
    runtime = pytest.importorskip("onnxruntime")
    layers_of().initialize(seed=1).to_onnx(tmp_path / "net.onnx", batch)
    pruned(tmp_path / "net.onnx", tmp_path / "out.onnx", "complementary/8", 0.25, skip=["linear2*"])
    network = layers_of(pattern=Complementary(8), density=0.25)
    kept = held(tmp_path / "out.onnx")
    # Pruning what is pruned keeps it.
    ours = network.prune({name: kept[name] for name in network.initialize().parameters})
    assert np.count_nonzero(kept["linear1.weight"]) == kept["linear1.weight"].size / 4
    x = np.random.default_rng(0).standard_normal((2, *INPUT["x"][1:]), dtype=np.float32)
    session = runtime.InferenceSession(tmp_path / "out.onnx", providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": x})
    np.testing.assert_allclose(
        ours.compile(batch=2, mode="sparse-dense", threads=1).run(x), theirs, rtol=1e-4, atol=1e-5
    )
    assert np.abs(theirs).max() > 0.01
