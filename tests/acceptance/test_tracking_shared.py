"""What two tracked objects, or a variable of the job, refer to together is still one thing after a resume."""

from dataclasses import dataclass, field

import pytest

import waycairn as wc

np = pytest.importorskip("numpy", reason="numpy is not installed")


class Network:
    def __init__(self):
        self.weights = [np.zeros(3), np.zeros((2, 2))]
        self.chance = np.random.default_rng(1)


class Optimizer:
    """Keeps the arrays that it changes, as most do."""

    def __init__(self, network):
        self.parameters = network.weights
        self.chance = network.chance
        self.seen = {}


@dataclass
class Best:
    """The same list at first, a copy later."""

    weights: list
    notes: list = field(default_factory=list)


def train(place, *, calls=1, die=None):
    """Ten steps, the best weights kept at the seventh; the digest of everything."""
    network = Network()
    optimizer, best = Optimizer(network), Best(network.weights)
    first = network.weights[0]
    objects = {"network": network, "optimizer": optimizer, "best": best, "by_name": {"first": first}}
    with wc.open(place) as store, store.run("train", progress="off") as run:
        if calls == 1:
            run.track(**objects)
        else:
            for name, one in objects.items():
                run.track(**{name: one})
        for step in run.steps(10, save_every=1):
            if step == die:
                raise KeyboardInterrupt
            for array in optimizer.parameters:
                np.add(array, optimizer.chance.random(), out=array)
            network.weights[1][0] += network.chance.random()
            if step == 6:
                best.weights = [array.copy() for array in network.weights]
            best.notes.append(step)
    assert objects["by_name"]["first"] is first
    found = [*network.weights, *optimizer.parameters, *best.weights, first]
    return [array.tolist() for array in found], best.notes


@pytest.mark.parametrize("calls", [1, 4])
@pytest.mark.parametrize("die", [1, 5, 7, 9])
def test_what_is_shared_is_shared_after_a_resume(tmp_path, calls, die):
    """The optimizer changes the weights of the network, not a copy; what was a copy by then is one again, although it
    held the same values. Tracked in one call or one by one."""
    expected = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", calls=calls, die=die)
    assert train(tmp_path / "killed", calls=calls) == expected


def test_an_array_of_another_shape_takes_the_place_of_the_one_that_is_there(tmp_path):
    """Objects may grow: lists get longer, arrays larger, attributes appear. The rest is filled in place."""

    class Growing:
        def __init__(self):
            self.rows, self.table = [np.zeros(2)], np.zeros((1, 2))

    def grow(die=None):
        growing = Growing()
        row = growing.rows[0]
        with wc.open(tmp_path) as store, store.run("grow", progress="off") as run:
            run.track(growing=growing)
            for step in run.steps(4, save_every=1):
                if step == die:
                    raise KeyboardInterrupt
                growing.rows[0] += 1
                growing.rows.append(np.full(2, step))
                growing.table = np.concatenate([growing.table, growing.rows[-1][None]])
                growing.newest = step
        assert growing.rows[0] is row
        return growing

    with pytest.raises(KeyboardInterrupt):
        grow(2)
    growing = grow()
    assert [row.tolist() for row in growing.rows] == [[4, 4], [0, 0], [1, 1], [2, 2], [3, 3]]
    assert growing.table.tolist() == [[0, 0], [0, 0], [1, 1], [2, 2], [3, 3]]
    assert growing.newest == 3
