"""Every number of the document format, in one place. `codec/__init__` says what they mean on disk."""

from __future__ import annotations

VERSION = 1

MARKED = 1
"""Flag: some array begins with a mark, so that the decoded tree has to be walked."""
SHAPED = 2
"""Flag: a table of shapes stands between the header and the body."""

MAX_DEPTH = 200
"""Levels of nesting of what is not plain. Decoding takes at most 4 Python frames a level, which a thread of its own
always has below the default limit of 1,000: so what was saved can be restored."""

LOOK_DEPTH = 16
"""Levels down to which a subtree is looked at as a whole (each look costs its whole size). The same on both ways, so
that a plain subtree which was not walked in encoding is not walked in decoding either, however deep it is."""

INLINE = 512
"""Bytes up to which an array lies in the document. Measured, a whole save of 16 arrays: of 512 bytes 0.60 ms inside and
0.66 outside, of 1 KiB 0.99 and 0.69 (a document is compressed and cut by content, buffers are packed together)."""

ALIGNMENT = 16
"""A merged region begins at a multiple of this within its root, so that elements in it stay aligned."""

# Extension types that are a whole value.
BIG_INT = 1
COMPLEX = 2
SURROGATES = 3
DATE = 4
TIME = 5
DATETIME = 6
TIMEDELTA = 7
DECIMAL = 8
UUID = 9
PATH = 10
CONSTANT = 11

# Extension types that stand first in an array and say what the rest of it is.
FIRST_MARK = 32
TUPLE = 32
SET = 33
FROZENSET = 34
MAP = 35
ORDERED_DICT = 36
COUNTER = 37
DEFAULT_DICT = 38
DEQUE = 39
BYTEARRAY = 40
RANGE = 41
SLICE = 42
RANDOM = 43
RECORD = 48
CUSTOM = 49
ARRAY = 64
NUMPY_SCALAR = 65
GENERATOR = 66
RANDOM_STATE = 67
TENSOR = 72
TORCH_VALUE = 73
