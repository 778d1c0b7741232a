"""Histograms of measurements: how exact they are, that they can be added, and that they come back as they were."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waycairn.model.histogram import Histogram, bucket_of, lower_end, merged

VALUES = st.lists(
    st.floats(min_value=0, max_value=1e15) | st.sampled_from([0.0, 1e-9, 0.25, 1.0, 2.0**40]), max_size=60
)


def of(values):
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(st.floats(min_value=2.0**-40, max_value=1e23))
def test_a_bucket_holds_what_is_in_it(value):
    """Between its ends, which are at most 1/32 apart."""
    bucket = bucket_of(value)
    assert lower_end(bucket) <= value < lower_end(bucket + 1) <= lower_end(bucket) * (1 + 1 / 32)


@given(VALUES.filter(bool), st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_two_percent(values, share):
    """Of the value that it would be exactly, by the nearest rank."""
    exact = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    found = of(values).percentile(share)
    assert found == pytest.approx(exact, rel=1 / 60, abs=2.0**-41)


@given(VALUES, VALUES)
def test_two_can_be_added(first, second):
    """As if all had been measured by one."""
    both, whole = merged([of(first), of(second)]), of(first + second)
    assert both.buckets == whole.buckets
    assert (both.count, both.total) == (whole.count, pytest.approx(whole.total))


@given(VALUES)
def test_it_comes_back_as_it_was(values):
    """From its bytes; the total stands beside them."""
    before = of(values)
    after = Histogram.decode(before.encode(), before.total)
    assert (after.buckets, after.count, after.total) == (before.buckets, before.count, before.total)


def test_it_is_small():
    """A row of the catalog for every hour and name: a thousand saves of about a millisecond take some tens of bytes."""
    assert len(of([0.001 * (1 + number % 50 / 100) for number in range(1000)]).encode()) < 100


@pytest.mark.parametrize("data", [b"", b"\x02\x90", b"\x01", b"\x01\x91\x05", b"\x01\x92\xff\x01", b"\x01\x92\x05\xff"])
def test_what_is_no_histogram_is_refused(data):
    """Another version, and bytes that are cut off or changed."""
    with pytest.raises(ValueError):
        Histogram.decode(data, 0.0)


def test_corners():
    """Nothing was measured; nonsense is taken for zero; what is too large is in the highest bucket."""
    empty = Histogram()
    assert (empty.percentile(0.5), empty.mean, empty.up_to(math.inf)) == (None, None, 0)
    assert bucket_of(-1.0) == bucket_of(math.nan) == bucket_of(0.0) == bucket_of(1e-20) == 0
    assert bucket_of(1e300) == bucket_of(math.inf)
    assert of([1.0, 3.0]).mean == 2.0


@given(VALUES, st.integers(-20, 20))
def test_how_many_are_below_a_power_of_two_is_exact(values, power):
    """What histograms of Prometheus are made of."""
    assert of(values).up_to(2.0**power) == sum(value < 2.0**power for value in values)
