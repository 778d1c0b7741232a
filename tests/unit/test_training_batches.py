"""Batches: an order of examples that goes on wherever it was interrupted."""

import json
import subprocess
import sys
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.training import Batches

np = pytest.importorskip("numpy", reason="numpy is not installed")

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 12)).flatmap(
    lambda shape: st.fixed_dictionaries(
        {
            "count": st.just(shape[0]),
            "size": st.just(shape[1]),
            "seed": st.sampled_from([0, 7, 2**64 - 1]),
            "shuffle": st.booleans(),
            "drop_last": st.just(False) if shape[1] > shape[0] else st.booleans(),
            "epochs": st.sampled_from([None, 0, 1, 3]),
        }
    )
)


def taken(batches, most):
    return [batch.tolist() for batch in islice(batches, most)]


@given(SHAPES, st.integers(0, 60), st.integers(0, 60))
def test_interrupted_anywhere_the_rest_is_the_same(shape, before, after):
    """The state survives JSON, and what comes after it is what would have come, also across epochs and at the end."""
    whole = Batches(**shape)
    taken(whole, before)
    state = json.loads(json.dumps(whole.state_dict()))
    resumed = Batches(**shape)
    taken(resumed, after)  # wherever it is, it is put where the state was
    resumed.load_state_dict(state)
    assert (resumed.epoch, resumed.position) == (whole.epoch, whole.position)
    assert taken(resumed, 50) == taken(whole, 50)


@given(SHAPES)
def test_an_epoch_has_every_example_once(shape):
    """Or, with drop_last, whole batches of different examples. `position` tells where it ends."""
    batches = Batches(**shape | {"epochs": 2})
    for epoch in range(2):
        batch = taken(batches, len(batches))
        assert (batches.epoch, batches.position) == (epoch, len(batches))
        seen = [one for part in batch for one in part]
        if shape["drop_last"]:
            assert {len(part) for part in batch} == {shape["size"]}
            assert len(set(seen)) == len(seen) > shape["count"] - shape["size"]
        else:
            assert sorted(seen) == list(range(shape["count"]))
        if not shape["shuffle"]:
            assert seen == sorted(seen)
    assert next(batches, None) is None
    assert iter(batches) is batches


def test_the_order_is_that_of_seed_and_epoch():
    """Whatever else draws numbers; arrays are int64 and the user's own; another seed and another epoch have another."""
    np.random.seed(3)  # the global generator is what should not matter
    batches = Batches(100, 100, seed=5)
    first, second = next(batches), next(batches)
    expected = np.random.Generator(np.random.Philox(key=[5, 1])).permutation(100)
    assert second.dtype == np.int64
    assert second.tolist() == expected.tolist() != first.tolist()
    second[:] = 0
    assert next(Batches(100, 100, seed=6)).tolist() != first.tolist()
    again = Batches(100, 50, seed=5)
    next(again)[:] = 0
    assert next(again).tolist() == first[50:].tolist()


def test_the_state_is_small():
    """A few numbers, however many examples there are."""
    batches = Batches(1_000_000, 64)
    next(batches)
    assert len(json.dumps(batches.state_dict())) < 200


@pytest.mark.parametrize(
    "other", [{"count": 31}, {"size": 7}, {"seed": 1}, {"shuffle": False}, {"drop_last": True}], ids=str
)
def test_a_state_of_other_data_is_refused(other):
    """By name, and nothing has changed."""
    shape = {"count": 30, "size": 8, "seed": 0, "shuffle": True, "drop_last": False}
    state = Batches(**shape | other).state_dict()
    batches = Batches(**shape)
    next(batches)
    before = batches.state_dict()
    ((name, value),) = other.items()
    with pytest.raises(ValueError, match=f"batches with {name}={value}, and these have .*Nothing was changed"):
        batches.load_state_dict(state)
    assert batches.state_dict() == before


def test_a_numpy_that_shuffles_differently_is_noticed():
    """The order of this epoch is not what it was; and so is a place that there is not, or a newer form."""
    batches = Batches(30, 8)
    next(batches)
    state = batches.state_dict()
    for change, said in (
        ({"order": "0123456789abcdef"}, "epoch 0 was shuffled in another order than this numpy .* some examples twice"),
        ({"epoch": 1}, "another order"),
        ({"position": 5}, "no batch 5 in epoch 0"),
        ({"version": 2}, "version 2, which this waycairn does not know"),
    ):
        with pytest.raises(ValueError, match=said):
            batches.load_state_dict(state | change)
    assert batches.state_dict() == state


def test_more_epochs_may_be_asked_for_later():
    """Training that is over goes on for longer."""
    batches = Batches(10, 5, epochs=1)
    taken(batches, 10)
    longer = Batches(10, 5, epochs=2)
    longer.load_state_dict(batches.state_dict())
    assert len(taken(longer, 10)) == 2
    assert (longer.epoch, longer.position) == (1, 2)


@pytest.mark.parametrize(
    "shape",
    [{"count": 0}, {"size": 0}, {"size": 11, "drop_last": True}, {"seed": -1}, {"seed": 2**64}, {"epochs": -1}],
    ids=str,
)
def test_nonsense_is_refused(shape):
    """Before anything is trained."""
    with pytest.raises(ValueError, match=r"not|there is no batch"):
        Batches(**{"count": 10, "size": 5} | shape)


def test_without_numpy_the_way_out_is_named():
    """The module imports; making batches says what to install."""
    code = "import sys; sys.modules['numpy'] = None\nfrom waycairn.training import Batches\nBatches(3, 2)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "waycairn.training needs numpy" in ran.stderr
    assert "pip install 'waycairn[numpy]'" in ran.stderr
