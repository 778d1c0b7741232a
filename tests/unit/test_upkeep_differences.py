"""What differs between two states."""

import copy
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any_state import states
from waycairn.codec import Record
from waycairn.upkeep.differences import ArrayDifference, differences


def _found(old, new):
    return [(one.path, one.act, one.old, one.new) for one in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 2}, [("a", "changed", 1, 2)]),
        ({"a": 1}, {"b": 1}, [("a", "removed", 1, None), ("b", "added", None, 1)]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3, 4]}}, [("a.b.1", "changed", 2, 3), ("a.b.2", "added", None, 4)]),
        ([1, 2], [1], [("1", "removed", 2, None)]),
        (1, 1.0, [("", "changed", 1, 1.0)]),
        (1, True, [("", "changed", 1, True)]),
        ((1,), [1], [("", "changed", (1,), [1])]),
        ({1, 2}, {2, 3}, [("", "removed", 1, None), ("", "added", None, 3)]),
        (float("nan"), float("nan"), []),
        (complex("nan"), complex("nan"), []),
        (np.float64("nan"), np.float64("nan"), []),
        (np.int8(1), np.int8(2), [("", "changed", np.int8(1), np.int8(2))]),
        (-0.0, 0.0, []),
        (b"a", b"b", [("", "changed", b"a", b"b")]),
        (Record("m:A", {"x": 1, "y": 2}), Record("m:A", {"x": 1, "y": 3}), [("y", "changed", 2, 3)]),
        ({1: "a", "1": "b"}, {1: "a", "1": "c"}, [("1", "changed", "b", "c")]),
        ({"a": None}, {}, [("a", "removed", None, None)]),
    ],
    ids=repr,
)
def test_each_kind_of_difference(old, new, expected):
    """Paths, acts and both values."""
    assert _found(old, new) == expected


def test_a_record_of_another_type_is_another_value():
    """The type name counts, not only the fields."""
    (found,) = differences(Record("m:A", {"x": 1}), Record("m:B", {"x": 1}))
    assert found.path == ""
    assert found.act == "changed"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 4.5]), ArrayDifference(1, 2, 2.5)),
        (np.array([np.nan, 1.0]), np.array([np.nan, 2.0]), ArrayDifference(1, 2, 1.0)),
        (np.array([0.0]), np.array([np.inf]), ArrayDifference(1, 1, None)),
        (np.array([0, 255], dtype="u1"), np.array([255, 0], dtype="u1"), ArrayDifference(2, 2, 255.0)),
        (np.array([-128], dtype="i1"), np.array([127], dtype="i1"), ArrayDifference(1, 1, 255.0)),
        (np.array([True]), np.array([False]), ArrayDifference(1, 1, 1.0)),
        (np.array([3j]), np.array([4 + 3j]), ArrayDifference(1, 1, 4.0)),
        (np.array(["a", "b"]), np.array(["a", "c"]), ArrayDifference(1, 2, None)),
        (np.array(5), np.array(7), ArrayDifference(1, 1, 2.0)),
        (np.array([(1, 2)], "i4,i4"), np.array([(1, 3)], "i4,i4"), ArrayDifference(1, 1, None)),
        (
            np.array([(1, np.nan)] * 2, "i4,f8"),
            np.array([(1, np.nan), (2, np.nan)], "i4,f8"),
            ArrayDifference(1, 2, None),
        ),
        (np.array([complex(np.nan, 1)]), np.array([complex(np.nan, 2)]), ArrayDifference(1, 1, None)),
        (np.array(["2026", "NaT"], "M8[D]"), np.array(["2027", "NaT"], "M8[D]"), ArrayDifference(1, 2, None)),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, np.ndarray) else "",
)
def test_arrays_say_how_much_differs(old, new, expected):
    """Elements that differ, of how many, by how much at most, also where the dtype would wrap around."""
    (found,) = differences({"w": old}, {"w": new})
    array = found.array
    assert (found.path, found.act) == ("w", "changed")
    assert ArrayDifference(array.elements, array.of, array.most) == expected
    assert list(differences(old, old.copy())) == []


@pytest.mark.parametrize("new", [np.zeros(3, "f4"), np.zeros((3, 1)), [0.0, 0.0, 0.0]], ids=["dtype", "shape", "type"])
def test_arrays_of_another_shape_or_dtype_are_changed(new):
    """There is nothing to count."""
    (found,) = differences(np.zeros(3), new)
    assert found.array is None
    assert "float64 [3]" in found.old_text()


def test_tensors_are_compared_like_arrays():
    """Also bfloat16, which numpy does not have."""
    torch = pytest.importorskip("torch", reason="torch is not installed here: tensors cannot be tested")
    for dtype in (torch.bfloat16, torch.float32, torch.int64):
        old = torch.tensor([1, 2, 3], dtype=dtype)
        new = torch.tensor([1, 2, 5], dtype=dtype)
        (found,) = differences([old], [new])
        assert found.array == ArrayDifference(1, 3, 2.0, 2.0, 2.0 / 14**0.5)
        assert list(differences(old, old.clone())) == []
    seeds = [torch.Generator().manual_seed(seed) for seed in (1, 1, 2)]
    assert list(differences(seeds[0], seeds[1])) == []
    assert len(list(differences(seeds[0], seeds[2]))) == 1


@pytest.mark.parametrize("make", [random.Random, np.random.default_rng, np.random.RandomState])
def test_generators_differ_by_where_they_stand(make):
    """Two generators of one state are the same, though Python calls them different."""
    assert list(differences(make(1), make(1))) == []
    assert len(list(differences(make(1), make(2)))) == 1


@given(states())
def test_a_copy_does_not_differ(state):
    """Nothing is found between a state and its copy, whatever it holds."""
    assert list(differences(state, copy.deepcopy(state))) == []


def test_numbers_whose_squares_are_infinite():
    """They are compared; there is no norm of them, and nobody is warned."""
    old = np.array([1.5e154 + 0j, 1e308])
    assert list(differences(old, old.copy())) == []
    (found,) = differences(old, -old)
    assert found.array.elements == 2
    assert found.array.norm is None


@given(st.dictionaries(st.text(max_size=3), st.integers()), st.dictionaries(st.text(max_size=3), st.integers()))
def test_applying_the_differences_gives_the_new_state(old, new):
    """They are complete: what was found leads from one to the other."""
    made = dict(old)
    for one in differences(old, new):
        if one.act == "removed":
            del made[one.path]
        else:
            made[one.path] = one.new
    assert made == new


def test_texts_are_short():
    """Large values are described, not printed."""
    (found,) = differences({"a": "x" * 10_000}, {"a": list(range(10_000))})
    assert len(found.old_text()) <= 60
    assert found.new_text() == "list with 10000 elements"


def test_norms():
    """L2 of the difference, and its share of the old one; none where elements have no difference."""
    (found,) = differences(np.array([[3.0, 4.0]]), np.array([[3.0, 9.0]]))
    assert found.array == ArrayDifference(1, 2, 5.0, 5.0, 1.0)
    (found,) = differences(np.zeros(2), np.array([3.0, 4.0]))
    assert found.array == ArrayDifference(2, 2, 4.0, 5.0, None)
    (found,) = differences(np.array([1.0, np.inf]), np.array([2.0, np.nan]))
    assert found.array == ArrayDifference(2, 2, None)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_many_blocks(order):
    """Compared block by block, they are as if compared at once."""
    old = np.asarray(np.arange(3_000_000, dtype="f4").reshape(1500, 2000), order=order)
    new = old.copy(order)
    new[::7, ::3] += 2
    (found,) = differences(old, new)
    elements = len(range(0, 1500, 7)) * len(range(0, 2000, 3))
    assert (found.array.elements, found.array.of, found.array.most) == (elements, 3_000_000, 2.0)
    assert found.array.norm == pytest.approx(2 * elements**0.5)
    assert list(differences(old[::2, ::2], old[::2, ::2].copy())) == []


def test_numbers_say_by_how_much():
    """Absolute and as a share; not where there is none."""
    changes = [(2, 3, (1.0, 0.5)), (-4.0, -1.0, (3.0, 0.75)), (0, 2, (2.0, None)), (np.int8(1), np.int8(2), (1.0, 1.0))]
    for old, new, by in changes:
        (found,) = differences(old, new)
        assert found.by == by
    for old, new in ((True, False), (1.0, float("inf")), ("a", "b"), (10**400, 1)):
        (found,) = differences(old, new)
        assert found.by is None


def test_long_texts_are_shown_where_they_differ():
    """Not by a beginning that they share."""
    (found,) = differences("a" * 5000 + "x", "a" * 5000 + "y" * 100)
    assert found.old_text() == f"'…{'a' * 12}x'"
    assert found.new_text().startswith(f"'…{'a' * 12}yyy")
    assert len(found.new_text()) < 120
