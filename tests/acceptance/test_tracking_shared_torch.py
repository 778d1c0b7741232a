"""Tensors inside objects of the job: a hand-written model whose weights a torch optimizer changes."""

import pytest

import waycairn as wc

torch = pytest.importorskip("torch", reason="torch is not installed")


class Model:
    """No torch.nn.Module: its weights are attributes."""

    def __init__(self):
        self.weights = [torch.zeros(3, requires_grad=True), torch.nn.Parameter(torch.ones(2))]
        self.average = {"first": self.weights[0].detach().clone()}
        self.view = self.weights[0].detach()[1:]
        self.chance = torch.Generator().manual_seed(3)


def train(place, *, die=None):
    """Adam keeps the tensors that it was made with."""
    model = Model()
    optimizer = torch.optim.Adam(model.weights, lr=0.1)
    with wc.open(place) as store, store.run("train", progress="off") as run:
        run.track(model=model, optimizer=optimizer)
        for step in run.steps(8, save_every=1):
            if step == die:
                raise KeyboardInterrupt
            optimizer.zero_grad()
            noise = torch.rand(3, generator=model.chance)
            ((model.weights[0] - noise) ** 2).sum().add((model.weights[1] ** 2).sum()).backward()
            optimizer.step()
            model.average["first"].mul_(0.9).add_(model.weights[0].detach(), alpha=0.1)
    assert [weight.requires_grad for weight in model.weights] == [True, True]
    assert type(model.weights[1]) is torch.nn.Parameter
    assert model.view.data_ptr() == model.weights[0][1:].data_ptr()
    found = [*model.weights, model.average["first"], model.view, torch.rand(2, generator=model.chance)]
    return [tensor.detach().tolist() for tensor in found]


@pytest.mark.parametrize("die", [1, 5])
def test_the_optimizer_goes_on_with_the_weights_of_the_model(tmp_path, die):
    """Filled in place, they are those that it was made with, and views show them."""
    expected = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", die=die)
    assert train(tmp_path / "killed") == expected
