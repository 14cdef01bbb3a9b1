"""Training: it learns, goes on after a kill as if there had been none, and our kernels say what PyTorch says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sparsebench import datasets, nets
from sparsebench.accuracy.variant import Variant, network_of
from sparsebench.errors import InputError
from sparsebench.patterns import Complementary, Unstructured

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from sparsebench import train  # noqa: E402
from sparsebench.train.agree import compared  # noqa: E402
from sparsebench.train.augment import augment  # noqa: E402
from sparsebench.train.fit import Epoch  # noqa: E402
from sparsebench.train.recipe import seeded  # noqa: E402

RECIPE = train.Recipe(epochs=4, lr=4e-3)
SPARSE = Variant(Complementary(1), 0.1, 0.12)


@pytest.fixture(scope="module")
def task() -> train.Task:
    data = datasets.load("digits")
    return train.Task.of(data, datasets.part(data))


def built(variant: Variant = SPARSE) -> nets.Sequential:
    return train.start(network_of(nets.load("mlp"), variant, ("linear1", "linear2"), 10), 0)


@pytest.mark.parametrize("variant", [Variant(), Variant(Unstructured(), 0.1), SPARSE], ids=str)
@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_digits_are_learnt_and_kernels_agree(task: train.Task, variant: Variant, precision: str) -> None:
    net = built(variant)
    module = train.to_torch(net)
    epochs: list[Epoch] = []
    train.fit(module, task, replace(RECIPE, precision=precision), 0, log=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4]
    assert epochs[-1].loss < epochs[0].loss
    judged = train.judge(module, task)
    assert judged.accuracy > 0.9 and judged.accuracy == pytest.approx(judged.right.mean())
    assert judged.reached["linear1"] == 1.0
    if variant.act_density < 1:
        assert judged.reached["output"] == pytest.approx(38 / 320, abs=1e-3)
    agreed = train.agreement(train.from_torch(net, module), task.judged(), judged.logits)
    assert [one.mode for one in agreed] == ["dense", "sparse-dense", "sparse-sparse"]
    assert [one.error for one in agreed] == ["", "", ""]
    assert all(one.same + one.ties == one.inputs == len(task.judge_y) for one in agreed)


def test_kernels_that_say_something_else_are_found(task: train.Task) -> None:
    net = built()
    module = train.to_torch(net)
    judged = train.judge(module, task)
    turned = np.roll(judged.logits, 1, axis=1)
    errors = [one.error for one in train.agreement(train.from_torch(net, module), task.judged(), turned)]
    assert all("PyTorch says class" in error for error in errors)


def test_only_a_class_that_is_nearly_best_to_pytorch_is_a_tie() -> None:
    logits = np.array([[10.0, 9.95, -20.0]] * 4, np.float32)
    found = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [np.nan, 0, 0]], np.float32)
    same, tied = compared(found, logits)
    assert same.tolist() == [True, False, False, False] and tied.tolist() == [False, True, False, False]


def test_networks_without_batch_norms_train_in_bfloat16(task: train.Task) -> None:
    layers = [layer for layer in built().layers if not isinstance(layer, nets.BatchNorm)]
    assert any(isinstance(layer, nets.KWinners) for layer in layers)
    module = train.to_torch(train.start(nets.Sequential(layers, (64,), "plain"), 0))
    train.fit(module, task, replace(RECIPE, precision="bf16"), 0)
    assert train.judge(module, task).accuracy > 0.5


class KilledError(Exception):
    """Stands for SIGKILL: nothing is done on the way out."""


def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(task: train.Task, tmp_path: Path) -> None:
    whole = train.to_torch(built())
    train.fit(whole, task, RECIPE, 5)

    def kill(epoch: Epoch) -> None:
        if epoch.epoch == 3:
            raise KilledError

    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        train.fit(train.to_torch(built()), task, RECIPE, 5, identity="this", path=path, every=0, log=kill)
    epochs: list[Epoch] = []
    module = train.to_torch(built())
    train.fit(module, task, RECIPE, 5, identity="this", path=path, log=epochs.append)
    assert [epoch.epoch for epoch in epochs] == [3, 4]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, module.state_dict()[name]), name


def test_a_checkpoint_of_another_network_is_refused(task: train.Task, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    train.fit(train.to_torch(built()), task, replace(RECIPE, epochs=2), 0, identity="one", path=path, every=0)
    assert path.exists()
    with pytest.raises(InputError, match="checkpoint of another network or recipe: 'one', where this is 'two'"):
        train.fit(train.to_torch(built()), task, RECIPE, 0, identity="two", path=path)
    other = network_of(nets.load("fashion"), Variant(), ("linear1",), 10)
    with pytest.raises(InputError, match="checkpoint of another network"):
        train.fit(train.to_torch(train.start(other, 0)), task, RECIPE, 0, identity="one", path=path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="is damaged"):
        train.fit(train.to_torch(built()), task, RECIPE, 0, identity="one", path=path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="is damaged"):
        train.fit(train.to_torch(built()), task, RECIPE, 0, identity="one", path=path)


def test_a_loss_that_is_no_number_stops_a_training(task: train.Task) -> None:
    with pytest.raises(train.DivergedError, match="the loss is nan in epoch 1 of 4"):
        train.fit(train.to_torch(built()), replace(task, x=task.x * float("nan")), RECIPE, 0)


def test_weights_that_are_no_numbers_at_the_end_are_a_divergence(task: train.Task) -> None:
    module = train.to_torch(built())

    def spoil(epoch: Epoch) -> None:
        # As a last step can: its loss is one of the weights before it.
        module.get_submodule("linear1").weight.data[0, 0] = float("inf")

    with pytest.raises(train.DivergedError, match="not finite after the last step"):
        train.fit(module, task, replace(RECIPE, epochs=1), 0, log=spoil)


def test_boosting_ends_before_training_does() -> None:
    for epochs in (1, 2, 3, 12, 40):
        strengths = [train.Recipe(epochs=epochs).boost_at(epoch) for epoch in range(epochs)]
        assert strengths[-1] == 0 and strengths == sorted(strengths, reverse=True)
    assert train.Recipe(epochs=12).boost_at(0) == 1.5


def test_shifts_move_whole_inputs_and_fill_with_the_least() -> None:
    x = torch.zeros(40, 1, 5, 6)
    x[:, 0, 2, 3] = 1.0
    x -= 7.0
    recipe = train.Recipe(epochs=1, shift=(1, 2))
    shifted = augment(x, None, recipe, seeded(0))
    assert shifted.shape == x.shape and shifted.is_contiguous()
    places = {tuple(place) for place in (shifted == -6.0).nonzero()[:, 2:].tolist()}
    assert ((shifted == -6.0).sum((1, 2, 3)) == 1).all()
    assert {row for row, _ in places} == {1, 2, 3} and {column for _, column in places} == {1, 2, 3, 4, 5}
    assert set(shifted.unique().tolist()) == {-7.0, -6.0}


def test_flips_mirror_about_half_of_the_images() -> None:
    x = torch.arange(4.0).expand(100, 1, 2, 4)
    flipped = augment(x, None, train.Recipe(epochs=1, flip=True), seeded(0))
    mirrored = (flipped[:, 0, 0, 0] == 3.0).sum()
    assert 30 < int(mirrored) < 70
    assert set(flipped[:, 0, 0, 0].tolist()) == {0.0, 3.0}


def test_noise_adds_powers() -> None:
    x = torch.full((3, 1, 4, 4), -2.0)
    noise = torch.zeros(2, 1, 4, 4)
    recipe = train.Recipe(epochs=1, noise_db=(10.0, 10.0))
    expected = np.log(np.exp(-2.0) + 0.1)
    assert augment(x, noise, recipe, seeded(0)).numpy() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(augment(x, None, recipe, seeded(0)), x)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": "lion"}, "optimizer 'lion' is not known"),
        ({"precision": "f16"}, "precision 'f16' is not known"),
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"batch": 1}, "batch is 1; it must be at least 2"),
        ({"noise_db": (3.0,)}, "noise_db"),
    ],
)
def test_a_wrong_recipe_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train.Recipe(**({"epochs": 1} | wrong))
