"""A suite becomes the trainings that it names, and what is wrong with it is said before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sparsebench import nets
from sparsebench.accuracy import plan, schema
from sparsebench.accuracy.variant import Variant, network_of
from sparsebench.datasets import Dataset
from sparsebench.errors import InputError
from sparsebench.nets.toml_text import toml_text
from sparsebench.patterns import Block, Complementary, Unstructured

SUITE = """
title = "t"
data = "digits"
network = "mlp"
layers = ["linear1"]
[recipe]
epochs = 2
[fine_tune]
epochs = 1
lr = 1e-3
[[trainings]]
split = "SPLIT"
patterns = [{ name = "unstructured" }, { name = "complementary", lanes = 1 }]
density = [0.1]
act_density = [1.0, 0.12]
start = ["static", "pruned"]
seeds = [0, 1]
"""


def study(text: str = SUITE, split: str = "official") -> schema.Study:
    return schema.parse("t", text.replace("SPLIT", split), "t.toml").study


def data(shape: tuple[int, ...] = (64,)) -> Dataset:
    return Dataset(
        "tiny",
        ("a", "b"),
        np.zeros((12, *shape), np.float32),
        np.arange(12) % 2,
        np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2], np.uint8),
        tuple("xxyyzz" * 2),
    )


def test_every_list_is_multiplied_out_with_dense_networks_first() -> None:
    found = plan.trainings(study(), data())
    # Two seeds: dense, and two patterns with two starts, each with and without k-winners.
    assert len(found) == 2 * 2 * (1 + 2 * 2) == len({training.name for training in found})
    assert [training.seed for training in found] == sorted(training.seed for training in found)
    place = {training: number for number, training in enumerate(found)}
    assert all(place[training.dense] <= place[training] for training in found)
    assert found[0].name == "official-0-dense"
    assert found[2].name == "official-0-unstructured-0.9-pruned"


def test_a_table_that_leaves_a_speaker_out_has_a_fold_each() -> None:
    found = plan.trainings(study(split="leave-one-speaker-out"), data())
    assert {training.fold for training in found} == {"x", "y", "z"} and len(found) == 3 * 20
    assert found[0].name == "x-0-dense"


def test_where_keeps_the_dense_networks_of_what_is_left() -> None:
    found = plan.trainings(study(), data(), 'start == "pruned" and act_density < 1 and seed == 1')
    assert [training.name for training in found] == [
        "official-1-dense-0.12",
        "official-1-unstructured-0.9-0.12-pruned",
        "official-1-complementary-1-0.9-0.12-pruned",
    ]
    with pytest.raises(InputError, match="holds for no training"):
        plan.trainings(study(), data(), "seed == 7")
    with pytest.raises(InputError, match="seeds"):
        plan.trainings(study(), data(), "seeds == 7")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"mlp"', '"mpl"', "network 'mpl' is not known; did you mean 'mlp'"),
        ('["linear1"]', '["linear3"]', "has no layer 'linear3' with weights"),
        ('["linear1"]', '["relu1"]', "has no layer 'relu1' with weights"),
        ("[0.1]", "[0.3]", "whole numbers"),
        ('{ name = "unstructured" }', '{ name = "stored" }', "pattern 'stored' cannot be trained"),
        ("[fine_tune]\nepochs = 1\nlr = 1e-3\n", "", "start 'pruned' needs a table fine_tune"),
    ],
)
def test_what_cannot_be_trained_is_refused(old: str, new: str, message: str) -> None:
    assert old in SUITE
    with pytest.raises(InputError, match=message):
        what = study(SUITE.replace(old, new))
        plan.networks(plan.trainings(what, data()), what, nets.load(what.network), data())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 2", "epoch = 2", r"t\.toml: recipe\.epoch: unknown key; did you mean 'epochs'"),
        ("epochs = 2", "epochs = 0", r"recipe\.epochs: .*greater than 0"),
        ('"digits"', '"mnist"', "data: .*'spoken-digits'"),
        ("lanes = 1 ", "lanes = 3 ", r"trainings\[0\]\.patterns\[1\]\.lanes"),
        ('title = "t"', "", "title: this key is missing"),
    ],
)
def test_wrong_keys_are_named(old: str, new: str, message: str) -> None:
    assert old in SUITE
    with pytest.raises(InputError, match=message):
        study(SUITE.replace(old, new))


def test_a_network_that_does_not_take_the_data_is_refused() -> None:
    what = study()
    with pytest.raises(InputError, match=r"network 'mlp' takes \[64\], data set 'tiny' has \[3\]"):
        plan.networks(plan.trainings(what, data((3,))), what, nets.load("mlp"), data((3,)))


def test_shipped_suites_can_be_planned() -> None:
    shapes = {"spoken-digits": (1, 32, 32), "idx": (1, 28, 28), "digits": (64,), "speech-commands": (1, 32, 32)}
    assert {name for name, _ in schema.shipped()} >= {"digits", "fashion", "speech"}
    for name, _ in schema.shipped():
        what = schema.load(name).study
        found = plan.trainings(what, data(shapes[what.data]))
        for network in plan.networks(found, what, nets.load(what.network), data(shapes[what.data])).values():
            network.initialize(0)


@pytest.mark.parametrize(
    "variant", [Variant(), Variant(Complementary(1), 0.05, 0.12), Variant(Block(4, 4), 0.05)], ids=str
)
def test_gsc_is_varied_in_its_layers_alone(variant: Variant) -> None:
    made = network_of(nets.load("gsc"), variant, ("conv2", "linear1"), 10)
    layers = made.named_layers
    assert made.output_shape == (10,) and made.shapes[-2] == (1500,)
    for name in ("conv1", "output"):
        assert layers[name].pattern is None
    for name in ("conv2", "linear1"):
        assert layers[name].pattern == variant.pattern and layers[name].density == variant.density
    kinds = [layer.kind for layer in made.layers]
    assert kinds.count("batchnorm") == 3 and kinds.count("relu") == (3 if variant.act_density == 1 else 0)
    assert [layers[name].bias for name in ("conv1", "conv2", "linear1", "output")] == [False, False, False, True]
    folded = made.fold()
    assert all(layer.bias for layer in folded.layers if isinstance(layer, nets.Weighted))


def test_relu_becomes_k_winners_where_they_are_asked_for() -> None:
    made = network_of(nets.load("fashion"), Variant(act_density=0.12), ("conv2",), 10)
    assert [layer.kind for layer in made.layers if "winners" in layer.kind] == ["kwinners2d", "kwinners2d", "kwinners"]


@pytest.mark.parametrize(
    "pattern", [Unstructured(), Unstructured(skew=True), Complementary(1, "partitioned"), Block(2, 4)]
)
def test_a_network_as_toml_is_read_as_the_same(tmp_path: Path, pattern: object) -> None:
    made = network_of(nets.load("gsc"), Variant(pattern, 0.05, 0.12), ("conv2", "linear1"), 10)
    path = tmp_path / "gsc.toml"
    path.write_text(toml_text(made, 'a "title" \\ of it'))
    assert nets.load(path) == made
    strange = nets.Sequential(
        [nets.Conv2d(4, 8, (3, 1), (2, 1), 1, 2, 2), nets.MaxPool2d(3, 2, 1), nets.GELU(), nets.KWinners2d(0.5, False)],
        (4, 12, 12),
        "strange",
    )
    path = tmp_path / "strange.toml"
    path.write_text(toml_text(strange, "t"))
    assert nets.load(path) == strange


def test_other_values_keep_their_masks() -> None:
    net = nets.load("gsc").initialize(0)
    twice = net.with_values({name: 2 * array for name, array in net.parameters.items()})
    assert np.array_equal(twice.parameters["conv2.weight"], 2 * net.parameters["conv2.weight"])
    assert twice.nonzeros() == net.nonzeros()
    wrong = net.parameters | {"conv2.weight": np.ones((64, 64, 5, 5), np.float32)}
    with pytest.raises(InputError, match=r"'conv2\.weight' holds 97280 weights outside its mask that are not zero"):
        net.with_values(wrong)
