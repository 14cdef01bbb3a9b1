"""Masked weights stay exactly zero, winners pass their gradient on, and networks come back as they went."""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench import nets
from sparsebench.errors import InputError
from sparsebench.k_winners_reference import reference_global, reference_local
from sparsebench.patterns import Block, Complementary, Pattern, Unstructured

torch = pytest.importorskip("torch")

from sparsebench import train  # noqa: E402
from sparsebench.train.recipe import OPTIMIZERS, optimizer_for, schedule_for  # noqa: E402
from sparsebench.train.winners import PERIOD  # noqa: E402

PATTERNS = [Unstructured(), Complementary(1), Complementary(4), Complementary(1, "partitioned"), Block(4, 4)]


def small(pattern: Pattern | None = None, density: float = 1.0, act: float = 0.25) -> nets.Sequential:
    sparse = {"pattern": pattern, "density": density}
    return nets.Sequential(
        [
            nets.Conv2d(1, 8, 3, bias=False, **sparse),
            nets.BatchNorm(8),
            nets.KWinners2d(act),
            nets.MaxPool2d(2),
            nets.Flatten(),
            nets.Linear(72, 16, bias=False, **sparse),
            nets.BatchNorm(16),
            nets.KWinners(act),
            nets.Linear(16, 3),
        ],
        (1, 8, 8),
        "small",
    )


def batch(n: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 1, 8, 8, generator=generator), torch.randint(3, (n,), generator=generator)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_masked_weights_stay_exactly_zero_whatever_the_optimiser(pattern: Pattern, optimizer: str) -> None:
    net = train.start(small(pattern, 0.25), 0)
    module = train.to_torch(net)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    recipe = train.Recipe(epochs=1, optimizer=optimizer, lr=1e-2, weight_decay=0.1)
    stepper = optimizer_for(module, recipe)
    schedule = schedule_for(stepper, recipe, 8)
    x, y = batch()
    for _ in range(8):
        torch.nn.functional.cross_entropy(module(x), y).backward()
        stepper.step()
        schedule.step()
        stepper.zero_grad()
    for name in ("conv1", "linear1"):
        mask = np.concatenate([part.mask.allowed for part in net.weights(name)])
        weight = module.state_dict()[f"{name}.weight"].numpy().reshape(mask.shape)
        assert not weight[~mask].any()
        assert (weight[mask] != before[f"{name}.weight"].numpy().reshape(mask.shape)[mask]).any()


@pytest.mark.parametrize("shape", [(16, 8, 3), (16, 8, 2)])
def test_a_mask_of_another_shape_or_kind_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"mask is bool .*must be bool \[8, 16\]"):
        train.SparseLinear(16, 8, torch.ones(shape, dtype=torch.bool))
    with pytest.raises(InputError, match="mask is float32"):
        train.SparseLinear(16, 8, torch.ones(8, 16))


def test_layers_compute_with_their_masked_weights_alone() -> None:
    mask = torch.rand(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)) < 0.3
    layer = train.SparseConv2d(4, 6, (3, 3), mask, stride=(2, 1), padding=(1, 0))
    plain = torch.nn.Conv2d(4, 6, (3, 3), (2, 1), (1, 0))
    plain.load_state_dict(layer.state_dict())
    with torch.no_grad():
        # What gets outside the mask by other ways has no effect.
        layer.weight += 1.0 * ~mask
    x = torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(layer(x), plain(x), atol=1e-6)


def test_winners_are_the_kernels_and_pass_on_their_gradient_alone() -> None:
    x = torch.randn(5, 8, 3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    for module, expected in (
        (train.KWinners2d(8, 0.25), reference_local(x.detach().numpy().reshape(5, 8, 12), 2)),
        (train.KWinners(8, 0.25), reference_global(x.detach().numpy().reshape(5, 96), 24)),
    ):
        out = module(x)
        assert np.array_equal(out.detach().numpy().reshape(expected.shape), expected)
        (gradient,) = torch.autograd.grad(out, x, torch.full_like(out, 3.0))
        assert torch.equal(gradient, 3.0 * (out != 0))


def test_boosting_ranks_by_duty_cycle_and_passes_x_itself_on() -> None:
    module = train.KWinners(4, 0.5, boost_strength=2.0)
    module.duty_cycle.copy_(torch.tensor([1.0, 0.0, 0.5, 0.0]))
    x = torch.tensor([[1.0, 0.5, 0.9, 0.2]])
    ranks = x.numpy() * np.exp(-2.0 * module.duty_cycle.numpy())
    assert list(np.argsort(-ranks[0])[:2]) == [1, 2]
    module.eval()
    assert torch.equal(module(x), torch.tensor([[0.0, 0.5, 0.9, 0.0]]))


def test_duty_cycles_move_in_training_and_are_frozen_when_judged() -> None:
    module = train.KWinners2d(4, 0.25)
    x = torch.zeros(10, 4, 2, 2)
    x[:, 1] = 1.0
    module(x)
    assert torch.equal(module.duty_cycle, torch.tensor([0.0, 1.0, 0.0, 0.0]))
    x[:, 2] = 2.0
    module(x)
    assert module.duty_cycle[1] == pytest.approx(0.5) and module.duty_cycle[2] == pytest.approx(0.5)
    module.seen.fill_(100 * PERIOD)
    module(x)
    assert module.duty_cycle[2] == pytest.approx(0.5 + 0.5 * 10 / PERIOD)
    before = module.duty_cycle.clone()
    module.eval()
    module(x)
    assert torch.equal(module.duty_cycle, before)


def test_a_network_goes_to_pytorch_and_back() -> None:
    net = train.start(small(Complementary(1), 0.25), 1)
    module = train.to_torch(net)
    back = train.from_torch(net, module)
    assert back.parameters.keys() == net.parameters.keys()
    assert all(np.array_equal(back.parameters[name], array) for name, array in net.parameters.items())
    module.eval()
    x, _ = batch(4)
    with torch.inference_mode():
        found = module(x).numpy()
    assert found == pytest.approx(nets.forward(net, x.numpy()).output, abs=1e-5)


def test_a_network_starts_with_batch_norms_that_do_nothing() -> None:
    arrays = train.start(small(), 0).parameters
    assert all(np.all(arrays[f"batchnorm1.{key}"] == 1) for key in ("weight", "running_var"))
    assert all(not arrays[key].any() for key in ("batchnorm1.bias", "batchnorm1.running_mean", "linear2.bias"))


def test_boosted_winners_are_not_exported() -> None:
    net = train.start(small(), 0)
    module = train.to_torch(net)
    train.set_boost(module, 0.5)
    with pytest.raises(InputError, match=r"'kwinners1' are boosted by 0\.5"):
        train.from_torch(net, module)


def test_weights_outside_their_mask_are_not_exported() -> None:
    net = train.start(small(Unstructured(), 0.25), 0)
    module = train.to_torch(net)
    with torch.no_grad():
        module.get_submodule("linear1").weight += 1.0
    with pytest.raises(InputError, match=r"'linear1\.weight' holds 864 weights outside its mask"):
        train.from_torch(net, module)
