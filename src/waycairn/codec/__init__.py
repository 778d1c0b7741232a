"""A Python state as bytes and back: `encode` gives a document and the large buffers it points to.

A state is a tree of None, bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, range,
slice, OrderedDict, Counter, defaultdict, deque, dates and times, Decimal, UUID, paths, Enum, dataclass, NamedTuple,
msgspec.Struct, pydantic model, numpy arrays, scalars and generators, torch tensors, random.Random, and what was
registered. It comes back of the same types, bit by bit. An object that stands in a state twice comes back as two
equal objects; only the memory of arrays and tensors is shared again.

The document
============
    offset  bytes
    0       1      version, 1
    1       1      flags: 1 = the body holds marks, 2 = a table of shapes follows
    2       4+n    only with flag 2: length n of the table (little-endian), and the table: the msgpack array
                   [[digest, type name, [field name, ...]], ...], ordered by digest
    ...            body: one msgpack value, to the end

The body is the state in msgpack. None, bool, int of 64 bits, float, str, bytes, list, and dict with keys of these
stand for themselves. All else is a msgpack extension value, in one of two roles.

A whole value (code, then the data):
     1  int beyond 64 bits: two's complement, little-endian
     2  complex: two little-endian float64
     3  str with lone surrogates: UTF-8 with surrogates encoded
     4  date: year (2 bytes, big-endian as all of 4 to 7), month, day
     5  time: hour, minute, second, microsecond (4), fold, then the time zone: nothing; "o" and an offset in
        microseconds (8, signed); "n", offset, name; or "z" and the name of a zone of the tz database
     6  datetime: as 4, then as 5
     7  timedelta: days (4, signed), seconds (4), microseconds (4)
     8  Decimal: its text                  9  UUID: 16 bytes
    10  path: "p" PurePosixPath, "P" PosixPath, "w" PureWindowsPath, "W" WindowsPath, then its text
    11  constant: "e" Ellipsis, "n" NotImplemented, "u" msgspec.UNSET

A mark: the first element of an array, which says what the others are (v: any value):
    32  tuple v...                        33  set v...            34  frozenset v...  (elements ordered by their bytes)
    35  dict with other keys: key v...    36  OrderedDict: attributes or nil, key v...
    37  Counter: as 36                    38  defaultdict: name of the factory or nil, key v...
    39  deque: maxlen or nil, v...        40  bytearray: bin      41  range: start, stop, step    42  slice: the same
    43  random.Random: version, 625 little-endian 32-bit words, gauss or nil
    48  object of fields: the data is the digest of its shape, then one v per field. An Enum has the one field
        "name", a Flag "value"
    49  object of a registered type: the data is the digest of its shape, then what its encode gave
    64  numpy array: dtype, shape, strides in bytes or nil (C order), offset in bytes, place
    65  numpy scalar: dtype, bin; or "U", str; or "S", bin
    66  numpy Generator (true) or BitGenerator (false): which, state of the SeedSequence or nil, state
    67  numpy RandomState: state
    72  torch tensor: dtype, shape, strides in elements or nil (C order), offset in elements, flags (1 Parameter,
        2 requires_grad), place
    73  other torch values: "size" v... | "dtype" name | "device" name | "generator" state
A place is the number of a buffer, or bin: the bytes themselves, where they are few. A dtype is numpy's text ("<f4"),
[dtype, shape] for a subarray, or a map of names, formats, offsets, titles, itemsize and aligned. A digest is the first
8 bytes of BLAKE2b over msgpack [type name, [field name, ...]], so that the bytes of one element do not depend on what
stands before it. Extension type -1 (msgpack's own timestamp) is not used.

    >>> encode({"page": 7, "seen": (True, None)}).document.hex(" ")
    '01 01 82 a4 70 61 67 65 07 a4 73 65 65 6e 93 c7 00 20 c3 c0'

Version 1, flag 1; 82: a map of two; a4 "page", 7; a4 "seen", 93: an array of three: c7 00 20, extension value of no
bytes and code 32: a tuple; c3 True, c0 None.
"""

from __future__ import annotations

from waycairn.codec.apart import read_apart
from waycairn.codec.bundles import Packed, bundle, unbundle
from waycairn.codec.cuts import cuts_of
from waycairn.codec.decoding import decode
from waycairn.codec.loading import load
from waycairn.codec.records import Record
from waycairn.codec.registry import register
from waycairn.codec.tree import encode
from waycairn.codec.types import Types

__all__ = [
    "Packed",
    "Record",
    "Types",
    "bundle",
    "cuts_of",
    "decode",
    "encode",
    "load",
    "read_apart",
    "register",
    "unbundle",
]
