"""Values <-> columns: whatever a user puts in comes out again, and the columns can hold it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from waycairn.catalog.columns import (
    decode_json,
    decode_place,
    decode_text,
    encode_json,
    encode_place,
    encode_text,
    identity,
)

any_text = some.text(some.characters(exclude_categories=[]), max_size=20)
any_json = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | any_text,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


@given(any_json)
def test_any_document_comes_back(value):
    """Also infinities, NUL, lone surrogates, and documents that look like our own wrapping."""
    assert decode_json(encode_json(value)) == value


@given(any_json | some.floats())
def test_postgres_can_hold_any_document(value):
    """Standard JSON in ASCII, without what JSONB refuses."""
    text = encode_json(value)
    if text is not None:
        json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert text.isascii()
        assert "\\u0000" not in text.replace("\\\\", "")


@pytest.mark.parametrize("value", [{"$text": "1"}, {"$text": {"$text": "x"}}, {"$text": 1, "b": 2}, [], {}, (), "", 0])
def test_documents_that_look_like_ours(value):
    """A user's own "$text" is never taken for the wrapping."""
    assert decode_json(encode_json(value)) == (list(value) if isinstance(value, tuple) else value)


def test_not_a_number_comes_back():
    """NaN is not null."""
    assert math.isnan(decode_json(encode_json({"loss": [math.nan]}))["loss"][0])


def test_nothing_stays_nothing():
    """None is NULL, not the document null."""
    assert encode_json(None) is None
    assert decode_json(None) is None


@given(any_text, any_text)
def test_any_text_comes_back_and_stays_different(one, two):
    """Both databases can hold the encoded text; different texts stay different."""
    encoded = encode_text(one)
    assert "\0" not in encoded
    encoded.encode()
    assert decode_text(encoded) == one
    assert (encode_text(two) == encoded) == (one == two)


@given(some.lists(any_text, min_size=1, max_size=3), some.lists(any_text, min_size=1, max_size=3))
def test_places_are_unambiguous(one, two):
    """Scopes and names never run into one another."""
    assert decode_place(encode_place(*one)) == one
    assert (encode_place(*one) == encode_place(*two)) == (one == two)


def test_a_place_that_is_too_long_is_refused():
    """PostgreSQL could not index it."""
    with pytest.raises(ValueError, match="shorter name"):
        encode_place("x" * 3000)


@given(some.none() | any_text, any_text, some.none() | any_text)
def test_identities_are_different_where_anything_is(parent, name, key):
    """Short and long ones; a hash can never look like a rendered one."""
    long = "y" * 3000
    assert identity(parent, name, key) != identity(parent, name, (key or "") + "!")
    assert identity(parent, name + long, key) != identity(parent, name + long + "!", key)
    assert len(identity(parent, name + long, key)) < 201
