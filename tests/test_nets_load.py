"""Networks in TOML: the same as in Python, and errors that say where and what."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import numpy as np
import pytest

from sparsebench import nets
from sparsebench.errors import InputError
from sparsebench.nets import (
    GELU,
    LAYERS,
    BatchNorm,
    Conv2d,
    Flatten,
    KWinners,
    KWinners2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    forward,
)
from sparsebench.nets.load import folder
from sparsebench.nets.schema import LAYER_TABLES
from sparsebench.patterns import Block, Complementary, Unstructured

GOOD = """
title = "A test"
input = [4, 9, 8]
[[layers]]
kind = "conv2d"
in_channels = 4
out_channels = 6
kernel = [3, 1]
stride = 2
padding = [1, 0]
dilation = [1, 2]
groups = 2
bias = false
pattern = { name = "complementary", lanes = 4, arrangement = "partitioned" }
density = 0.5
[[layers]]
kind = "batchnorm"
features = 6
eps = 0.001
[[layers]]
kind = "kwinners2d"
density = 0.5
local = false
[[layers]]
kind = "maxpool2d"
kernel = 2
stride = [1, 2]
padding = 1
[[layers]]
kind = "relu"
name = "rectify"
[[layers]]
kind = "flatten"
[[layers]]
kind = "kwinners"
density = 0.25
[[layers]]
kind = "linear"
in_features = 108
out_features = 5
pattern = { name = "block", rows = 2, cols = 4 }
density = 0.25
[[layers]]
kind = "gelu"
[[layers]]
kind = "linear"
in_features = 5
out_features = 3
pattern = { name = "unstructured" }
density = 0.5
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "test.toml"
    path.write_text(text)
    return path


def test_toml_says_what_python_says(tmp_path: Path) -> None:
    conv = {"stride": 2, "padding": (1, 0), "dilation": (1, 2), "groups": 2, "bias": False}
    layers = [
        Conv2d(4, 6, (3, 1), **conv, pattern=Complementary(4, "partitioned"), density=0.5),
        BatchNorm(6, eps=0.001),
        KWinners2d(0.5, local=False),
        MaxPool2d(2, stride=(1, 2), padding=1),
        ReLU(name="rectify"),
        Flatten(),
        KWinners(0.25),
        Linear(108, 5, pattern=Block(2, 4), density=0.25),
        GELU(),
        Linear(5, 3, pattern=Unstructured(), density=0.5),
    ]
    assert nets.load(write(tmp_path, GOOD)) == Sequential(layers, (4, 9, 8), "test")


def test_defaults_are_those_of_python(tmp_path: Path) -> None:
    text = (
        'title = "t"\ninput = [1, 8, 8]\n[[layers]]\nkind = "conv2d"\nin_channels = 1\nout_channels = 2\nkernel = 3\n'
    )
    text += '[[layers]]\nkind = "maxpool2d"\nkernel = 2\n[[layers]]\nkind = "kwinners2d"\ndensity = 0.5\n'
    assert nets.load(write(tmp_path, text)) == Sequential(
        [Conv2d(1, 2, 3), MaxPool2d(2), KWinners2d(0.5)], (1, 8, 8), "test"
    )


def test_every_layer_has_a_table_with_its_fields() -> None:
    assert set(LAYER_TABLES) == set(LAYERS)
    for kind, table in LAYER_TABLES.items():
        fields = set(LAYERS[kind].__dataclass_fields__)
        assert set(table.model_fields) == fields | {"kind"}, kind


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("stride = 2", "strid = 2"), r"layers\[0\]\.strid: unknown key; did you mean 'stride'\? \(known: kind, name"),
        (("lanes = 4", "lane = 4"), r"layers\[0\]\.pattern\.lane: unknown key; did you mean 'lanes'\?"),
        (("lanes = 4", "lanes = 5"), r"layers\[0\]\.pattern\.lanes: Input should be 1, 4, 8, 16 or 'auto' \(got 5\)"),
        (('"complementary"', '"striped"'), r"layers\[0\]\.pattern\.name: pattern 'striped' is not known; known: "),
        (
            ('kind = "gelu"', 'kind = "gleu"'),
            r"layers\[8\]\.kind: layer 'gleu' is not known; known: 'linear', 'conv2d'",
        ),
        (('kind = "gelu"', ""), r"layers\[8\]\.kind: this key is missing"),
        (("in_channels = 4", ""), r"layers\[0\]\.in_channels: this key is missing"),
        (("kernel = [3, 1]", "kernel = [3, 0]"), r"layers\[0\]\.kernel\[1\]: .*greater than 0 \(got 0\)"),
        (("kernel = [3, 1]", "kernel = [3, 1, 1]"), r"layers\[0\]\.kernel: .*at most 2 items"),
        (("kernel = [3, 1]", 'kernel = "3x1"'), r"layers\[0\]\.kernel: .*valid list \(got '3x1'\)"),
        (("kernel = [3, 1]", "kernel = true"), r"layers\[0\]\.kernel\[0\]: .*valid integer"),
        (("stride = 2", "stride = 0"), r"layers\[0\]\.stride\[0\]: .*greater than 0"),
        (("padding = [1, 0]", "padding = -1"), r"layers\[0\]\.padding\[0\]: .*greater than or equal to 0"),
        (("local = false", "local = 1"), r"layers\[2\]\.local: .*valid boolean \(got 1\)"),
        (("title", "titel"), r"titel: unknown key; did you mean 'title'\?"),
        (("input = [4, 9, 8]", "input = []"), "input: .*at least 1 item"),
        (("[4, 9, 8]", "[4, 9, 8"), "not valid TOML"),
        (("groups = 2", "groups = 4"), r"test.toml: layers\[0\]: Conv2d\(4, 6, .*groups is 4; it must divide"),
        (
            ("in_features = 108", "in_features = 9"),
            r"test.toml: network 'test', layers\[7\] Linear\(9, 5, .*has 108 features",
        ),
        (("features = 6", "features = 7"), r"layers\[1\] BatchNorm\(7, eps=0.001\): input has 6 channels, it takes 7"),
    ],
)
def test_bad_files_say_where_and_what(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(InputError, match=says) as caught:
        nets.load(write(tmp_path, GOOD.replace(*change, 1)))
    assert all("test.toml: " in line for line in str(caught.value).splitlines())


def test_all_wrong_keys_come_at_once_a_line_each(tmp_path: Path) -> None:
    text = GOOD.replace("lanes = 4", "lanes = 5").replace("stride = 2", 'stride = "2"').replace("eps = ", "esp = ")
    with pytest.raises(InputError) as caught:
        nets.load(write(tmp_path, text))
    keys = [line.partition("test.toml: ")[2].partition(": ")[0] for line in str(caught.value).splitlines()]
    assert keys == ["layers[0].pattern.lanes", "layers[0].stride", "layers[1].esp"]


def test_unknown_networks() -> None:
    with pytest.raises(InputError, match=r"network 'gcs' is not known; did you mean 'gsc'\? \(known: fashion, ffn-"):
        nets.load("gcs")
    with pytest.raises(InputError, match=r"network file 'absent\.toml' does not exist"):
        nets.load("absent.toml")


def test_shipped_networks() -> None:
    names = [name for name, _ in nets.shipped()]
    assert names == ["fashion", "ffn-bert", "ffn-bert-kwinners", "ffn-minilm", "ffn-minilm-kwinners", "gsc", "mlp"]
    for name in names:
        net = nets.load(name)
        assert net.name == name
        if name.startswith("ffn"):
            sparse = {"pattern": Complementary(16), "density": 0.05}
            width = 768 if "bert" in name else 384
            hidden = [ReLU(), KWinners(0.12)] if "kwinners" in name else [GELU()]
            layers = [Linear(width, 4 * width, **sparse), *hidden, Linear(4 * width, width, **sparse)]
            assert net == Sequential(layers, (width,), name)


def test_gsc() -> None:
    """The table of the published network, and the non-zeros that its TOML promises."""
    net = nets.load("gsc").initialize()
    assert dict(zip(net.names, net.shapes, strict=True)) == {
        "conv1": (64, 28, 28),
        "kwinners1": (64, 28, 28),
        "maxpool1": (64, 14, 14),
        "conv2": (64, 10, 10),
        "kwinners2": (64, 10, 10),
        "maxpool2": (64, 5, 5),
        "flatten1": (1600,),
        "linear1": (1500,),
        "kwinners3": (1500,),
        "output": (12,),
    }
    rows = {row.name: (row.weights, row.dense_macs, row.nnz, row.macs) for row in net.describe() if row.weights}
    assert rows == {
        "conv1": (1_600, 1_254_400, 800, 627_200),
        "conv2": (102_400, 10_240_000, 5_120, 512_000),
        "linear1": (2_400_000, 2_400_000, 120_000, 120_000),
        "output": (18_000, 18_000, 1_800, 1_800),
    }
    published = sum(array.size for name, array in net.parameters.items() if name not in ("linear1.bias", "output.bias"))
    assert published == 2_522_128
    assert sum(macs for _, macs, _, _ in rows.values()) == 13_912_400
    assert sum(net.nonzeros().values()) == 127_720
    assert sum(net.nonzeros().values()) == pytest.approx(127_700, rel=0.01)
    # Ten lane groups of one row share out all of linear1's units.
    assert net.weights("output")[0].mask.allowed.any(axis=0).all()


def test_what_reaches_the_layers_of_gsc() -> None:
    net = nets.load("gsc").initialize()
    reached = forward(net, np.random.default_rng(0).standard_normal((4, 1, 32, 32))).reached
    assert reached["maxpool1"] == reached["maxpool2"] == 8 / 64
    assert reached["output"] == 180 / 1500
    # Pooling after k-winners gathers the winners of four pixels.
    assert 0.125 < reached["conv2"] <= 0.5
    assert 0.125 < reached["linear1"] <= 0.5


def test_the_published_schema_is_in_step() -> None:
    published = (folder() / "net.schema.json").read_text()
    assert published == nets.schema_text()


def test_the_published_schema_takes_one_number_for_two() -> None:
    sides = json.loads(nets.schema_text())["$defs"]["Conv2dTable"]["properties"]
    for key in ("kernel", "stride", "padding", "dilation"):
        item, array = sides[key]["anyOf"]
        assert array == {"type": "array", "items": item, "minItems": 2, "maxItems": 2}, key
        assert "type" not in sides[key], key


def test_the_example_of_the_package_runs() -> None:
    assert doctest.testmod(nets) == (0, 5)
