"""Keys of items: typed, comparable, and small when stored.

A key is kept in canonical form: str and int as they are, everything else as tagged bytes, so that 1, "1", True
and 1.0 never meet in a set. A block of keys is msgpack, compressed, with a checksum: the order of the block is the order in which
the items were done.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from pathlib import PurePath
from typing import Any
from uuid import UUID

import msgspec
from blake3 import blake3

from waycairn.codec.tree import encode
from waycairn.errors import Damaged
from waycairn.model.records import DoneItems

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Key = str | int | bytes
"""A key in canonical form."""

_KEYS_VERSION = 2
_PLAIN, _ZSTD = 0, 1
_HEAD = struct.Struct("<BBI")
_MOST_RAW = 64 << 20
"""No block of keys is larger than this when decompressed; a larger claim is damage."""
_SMALLEST_COMPRESSED = 64
_MOST_TEXT = 300
"""Longer scopes are named by their hash; a name of a thousand characters must fit beside it in one index entry."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Any])


def key_function(key: str | Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """From what the user gave: a function, the name of an attribute or entry, or nothing (the item itself)."""
    if key is None:
        return content_key
    if isinstance(key, str):
        return _by_name(key)
    return key


def _by_name(name: str) -> Callable[[Any], Any]:
    by_attribute = attrgetter(name)

    def find(item: Any) -> Any:
        try:
            return item[name] if isinstance(item, Mapping) else by_attribute(item)
        except (KeyError, AttributeError):
            raise ValueError(
                f"the item {short(item)} has no {name!r} to be its key; pass key= as a function, or the name of an "
                "attribute or entry that every item has"
            ) from None

    return find


def content_key(item: Any) -> Any:
    """The item itself where it can be a key, else a hash of its content."""
    if type(item) in _KEY_TYPES or isinstance(item, PurePath | UUID | tuple):
        return item
    encoded = encode(item)
    digest = blake3(encoded.document)
    for view in encoded.buffers:
        digest.update(view)
    return b"content:" + digest.digest(16)


def canonical(key: Any) -> Key:
    """The form in which keys are compared and stored. TypeError for what cannot be a key."""
    kind = type(key)
    if kind is str or kind is int:
        return key if kind is str or -(1 << 63) <= key < 1 << 63 else f"int:{key}".encode()
    return _tagged(key)


_KEY_TYPES = {str, int, bytes, bool, float, type(None)}


def _tagged(key: Any) -> bytes:
    for kind, tag in _TAGS:
        if isinstance(key, kind):
            return tag(key)
    raise TypeError(
        f"a key cannot be a {type(key).__name__} ({short(key)}); use str, int, bytes, a path, a UUID or a tuple of these"
    )


_TAGS: tuple[tuple[Any, Callable[[Any], bytes]], ...] = (
    (bytes, lambda key: b"b" + key),
    (bool, lambda key: b"?1" if key else b"?0"),
    (type(None), lambda _: b"0"),
    (float, lambda key: b"f" + key.hex().encode()),
    # Subclasses of str and int: an Enum member, a numpy string.
    ((str, int), lambda key: b"s" + f"{type(key).__qualname__}:{key}".encode()),
    (PurePath, lambda key: b"p" + key.as_posix().encode("utf-8", "surrogateescape")),
    (UUID, lambda key: b"u" + key.bytes),
    (tuple, lambda key: b"t" + _encoder.encode([canonical(part) for part in key])),
)
"""First match wins: bool stands before int, its base."""


def shown(key: Key) -> str:
    """A key as a person reads it."""
    text = _text(key)
    return text if len(text) <= 200 else text[:197] + "..."


def plain(key: Key) -> str | int:
    """A key as other programs read it, whole: str and int as they are, all else as text."""
    if isinstance(key, bytes):
        return int(key[4:]) if key[:1] == b"i" else _text(key)
    return key


def _text(key: Key) -> str:
    if not isinstance(key, bytes):
        return repr(key)
    tag, rest = key[:1], key[1:]
    return _TEXTS[tag](rest) if tag in _TEXTS else rest.decode("utf-8", "backslashreplace")


_TEXTS: Mapping[bytes, Callable[[bytes], str]] = {
    b"b": repr,
    b"?": lambda rest: str(rest == b"1"),
    b"0": lambda _: "None",
    b"f": lambda rest: repr(float.fromhex(rest.decode())),
    b"i": lambda rest: rest.removeprefix(b"nt:").decode(),
    b"u": lambda rest: str(UUID(bytes=rest)),
    b"t": lambda rest: f"({', '.join(map(_text, _decoder.decode(rest)))})",
}
"""By the tag of `canonical`; what is missing here is text already."""


def scope_of(loop: str, key: Key) -> str:
    """Name of the scope of an item's steps."""
    tag = {str: "s", int: "i"}.get(type(key), "b")
    scope = f"{loop}/{tag}:{key.hex() if isinstance(key, bytes) else key}"
    if len(scope) <= _MOST_TEXT and scope.isascii():
        return scope
    return f"#{tag}:{blake3(scope.encode('utf-8', 'surrogatepass')).hexdigest()}"


def pack_keys(keys: Iterable[Key]) -> bytes:
    """One block of keys, in order."""
    try:
        raw = _encoder.encode(keys)
    except UnicodeEncodeError:
        raise ValueError("an item key holds a lone surrogate and cannot be stored; pass key= as bytes") from None
    form, body = (_PLAIN, raw) if len(raw) < _SMALLEST_COMPRESSED else (_ZSTD, zstd.compress(raw, 1))
    # Rows have no hash of their own, and a key that changed by one bit is another key: its item would run again.
    return _HEAD.pack(_KEYS_VERSION, form, zlib.crc32(body)) + body


def key_digest(key: Key) -> bytes:
    """16 bytes that name a key within its loop."""
    return blake3(_encoder.encode(key)).digest(16)


def unpack_keys(block: bytes) -> list[Key]:
    """Back to canonical keys. Raises Damaged."""
    try:
        return _unpack_v1(block) if block[:1] == b"\1" else _unpack_v2(block)
    except (msgspec.MsgspecError, zstd.ZstdError, struct.error, ValueError, MemoryError, RecursionError) as error:
        raise Damaged(
            f"a block of {len(block)} bytes with keys of finished items is damaged ({error}). Which items are done is "
            "not known, so nothing was skipped or run. Restore the catalog from a backup, or discard the run."
        ) from error


def keys_of(done: DoneItems) -> list[Key]:
    """The keys of a row of items. Raises Damaged, also if they are not as many as it counts."""
    keys = unpack_keys(done.keys)
    if len(keys) != done.count:
        raise Damaged(
            f"a row of loop {done.loop!r} counts {done.count} finished items and names {len(keys)}: it is damaged. Which "
            "items are done is not known, so nothing was skipped or run. Restore the catalog from a backup, or discard "
            "the run."
        )
    return keys


def single_key(block: bytes, digest: bytes) -> Key:
    """The one key of a row that is found by the digest of its key. Raises Damaged."""
    keys = unpack_keys(block)
    if len(keys) != 1 or key_digest(keys[0]) != digest:
        raise Damaged(
            f"a row of an item that failed or waits is damaged: it is listed under the digest {digest.hex()}, which is not "
            "that of its key. It is not used. Restore the catalog from a backup, or discard the run."
        )
    return keys[0]


def _unpack_v2(block: bytes) -> list[Key]:
    version, form, checksum = _HEAD.unpack_from(block)
    if version != _KEYS_VERSION or form not in {_PLAIN, _ZSTD}:
        raise ValueError(f"unknown version {version}, form {form}")
    body = block[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise ValueError("its checksum differs")
    return _keys_in(body, is_compressed=form == _ZSTD)


def _unpack_v1(block: bytes) -> list[Key]:
    """Without a checksum."""
    return _keys_in(block[2:], is_compressed=block[1:2] == b"\1")


def _keys_in(body: bytes, *, is_compressed: bool) -> list[Key]:
    if is_compressed:
        reader = zstd.ZstdDecompressor()
        body = reader.decompress(body, _MOST_RAW)
        if not reader.eof:
            raise ValueError("it is cut short or larger than a block may be")
    keys = _decoder.decode(body)
    if not set(map(type, keys)) <= {str, int, bytes}:
        raise ValueError("it holds something that is no key")
    return keys


def short(item: Any) -> str:
    text = repr(item)
    return text if len(text) <= 100 else text[:97] + "..."
