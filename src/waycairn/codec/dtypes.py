"""Element types of numpy arrays as plain values: only numbers, dates, text and structures of them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

from waycairn.codec.problems import Unstorable

_KINDS = frozenset("biufcmMSUV")
# numpy evaluates commas and parentheses in the name of a dtype as Python: nothing but a plain name gets there.
_SIMPLE = re.compile(r"[<>|=][biufcmMSUV][0-9]{1,10}(\[[0-9]{0,9}[A-Za-z]{1,7}\])?")
_ANY_DTYPE: Any = np.dtype  # its overloads know each dtype by name, and no dict that was read


@lru_cache(maxsize=256)
def describe(dtype: np.dtype[Any]) -> Any:
    """`"<f4"`; `[base, shape]` for a subarray; a dict for a structure. Raises Unstorable."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [describe(base), list(shape)]
    if dtype.fields is not None and dtype.names is not None and dtype.type is np.void:
        return _describe_fields(dtype)
    if dtype.kind not in _KINDS or np.dtype(dtype.str) != dtype:
        raise Unstorable(
            f"is an array of dtype {dtype}, whose elements are Python objects or of a type that numpy itself does not "
            "have. Convert it: tolist(), or astype() to a plain dtype."
        )
    return dtype.str


def _describe_fields(dtype: np.dtype[Any]) -> dict[str, Any]:
    assert dtype.names is not None
    assert dtype.fields is not None
    fields = [dtype.fields[name] for name in dtype.names]
    titles: list[Any] = [field[2] if len(field) > 2 else None for field in fields]
    if not all(title is None or type(title) is str for title in titles):
        raise Unstorable("is a structured array with titles that are not text. Leave the titles out.")
    return {
        "names": list(dtype.names),
        "formats": [describe(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "titles": titles,
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def restore(description: Any) -> np.dtype[Any]:
    """The dtype again. Raises ValueError, TypeError, KeyError on nonsense; never one that holds objects."""
    if type(description) is str:
        return _simple(description)
    if type(description) is list:
        base, shape = description
        return np.dtype((restore(base), tuple(shape)))
    fields: dict[str, Any] = {name: list(description[name]) for name in ("names", "formats", "offsets", "titles")}
    if not all(title is None or type(title) is str for title in fields["titles"]):
        raise ValueError("a title that is not text")  # numpy takes any object, also one that cannot be hashed
    fields["formats"] = [restore(each) for each in fields["formats"]]
    fields["itemsize"] = description["itemsize"]
    dtype: np.dtype[Any] = _ANY_DTYPE(fields, align=bool(description["aligned"]))
    return dtype


@lru_cache(maxsize=256)
def _simple(text: str) -> np.dtype[Any]:
    if not _SIMPLE.fullmatch(text):
        raise ValueError("not the name of a dtype")
    return np.dtype(text)
