"""Any state that can be stored, for tests that have to cope with all of them."""

import datetime as dt
from decimal import Decimal
from pathlib import PurePosixPath
from uuid import UUID

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=20),
    st.binary(max_size=20),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.uuids().map(lambda value: UUID(int=value.int)),
    st.sampled_from([Ellipsis, range(3), slice(1, 2), PurePosixPath("a/b"), Decimal("NaN"), dt.UTC.utcoffset(None)]),
)
_HASHABLE = st.one_of(st.integers(), st.text(max_size=5), st.booleans(), st.dates())
_DTYPES = st.one_of(
    nps.boolean_dtypes(),
    nps.integer_dtypes(),
    nps.floating_dtypes(sizes=(16, 32, 64)),
    nps.complex_number_dtypes(sizes=(64, 128)),
    nps.unicode_string_dtypes(max_len=3),
    nps.byte_string_dtypes(max_len=3),
    nps.datetime64_dtypes(max_period="D", min_period="ns"),
    st.just(np.dtype([("a", "<i4"), ("b", "f8", (2,))])),
)
_ARRAYS = _DTYPES.flatmap(
    lambda dtype: nps.arrays(dtype, nps.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)


def states():
    """Nested containers over scalars and arrays of every dtype."""
    return st.recursive(
        _SCALARS | _ARRAYS | _ARRAYS.filter(lambda array: array.size).map(lambda array: array.reshape(-1)[0]),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner, inner),
            st.dictionaries(_HASHABLE, inner, max_size=4),
            st.sets(_HASHABLE, max_size=4),
            st.frozensets(_HASHABLE, max_size=4),
        ),
        max_leaves=12,
    )
