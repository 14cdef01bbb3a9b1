"""Weights in .safetensors files: floating tensors of every width, and nothing that is not sound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sparsebench import weights
from sparsebench.errors import InputError

RNG = np.random.default_rng(0)
HELD = {
    "fc.weight": RNG.standard_normal((3, 4)).astype(np.float32),
    "conv.weight": RNG.standard_normal((2, 3, 3, 3)).astype(np.float16),
    "fc.bias": np.ones(3, np.float32),
    "ids": np.ones((2, 2), np.int64),
}


def raw(path: Path, header: dict[str, object], content: bytes) -> str:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return str(path)


@pytest.fixture
def path(tmp_path: Path) -> str:
    save_file(HELD, tmp_path / "m.safetensors", metadata={"format": "np"})
    return str(tmp_path / "m.safetensors")


def test_floating_tensors_of_two_and_four_axes_are_listed(path: str):
    refs = [(ref.address, ref.name, ref.rows, ref.cols) for ref in weights.expand(path)]
    assert refs == [(f"{path}!conv.weight", "conv.weight", 2, 27), (f"{path}!fc.weight", "fc.weight", 3, 4)]
    assert [ref.name for ref in weights.expand(f"{path}!*.weight")] == ["conv.weight", "fc.weight"]


def test_values_are_read_as_float32(path: str):
    read = weights.read(f"{path}!conv.weight")
    assert read.values.dtype == np.float32
    assert read.stored is None
    np.testing.assert_array_equal(read.values, HELD["conv.weight"].astype(np.float32).reshape(2, 27))
    np.testing.assert_array_equal(weights.read(f"{path}!fc.weight").values, HELD["fc.weight"])


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path: Path):
    expected = np.array([[1.0, -2.5], [0.0, 3.140625]], np.float32)
    content = (expected.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {"w": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}
    np.testing.assert_array_equal(weights.read(raw(tmp_path / "m.safetensors", header, content)).values, expected)


def test_what_cannot_be_read_as_one_layer_is_named(path: str):
    for selector, message in (
        ("", "the name after '!' is missing"),
        ("fc.wieght", r"no tensor 'fc\.wieght'; nearest: fc\.weight"),
        ("fc.bias", "is 1-D"),
        ("ids", "are of type I64; readable: F64, F32, F16, BF16"),
        ("*.weight", r"are several: name one after '!': conv\.weight, fc\.weight"),
    ):
        with pytest.raises(InputError, match=message):
            weights.read(f"{path}!{selector}")


def test_a_file_without_layers_says_what_it_holds(tmp_path: Path):
    save_file({"b": np.ones(3, np.float32)}, tmp_path / "m.safetensors")
    with pytest.raises(InputError, match=r"no 2-D or 4-D floating tensor; the file holds b \(F32 \[3\]\)"):
        weights.expand(str(tmp_path / "m.safetensors"))


def test_other_files_and_damaged_ones_are_refused(path: str, tmp_path: Path):
    sound = Path(path).read_bytes()
    entry = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 12]}
    for content, message in (
        (b"", "is not a sound .safetensors file: .*; it is empty"),
        (sound[:-3], "is not a sound .safetensors file"),
        (sound[:40], "is not a sound .safetensors file"),
        (b"PK\x03\x04" + bytes(100), r"it begins like a zip archive \(PyTorch's checkpoints are\)"),
    ):
        Path(path).write_bytes(content)
        with pytest.raises(InputError, match=message):
            weights.expand(path)
    with pytest.raises(InputError, match="is not a sound"):
        weights.read(raw(tmp_path / "short.safetensors", {"w": entry}, bytes(12)))


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_changed_byte_leads_to_anything_but_a_message(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("damaged") / "m.safetensors"
    save_file(HELD, path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        for ref in weights.expand(str(path)):
            assert weights.read(ref.address).values.shape == (ref.rows, ref.cols)
    except InputError:
        pass
