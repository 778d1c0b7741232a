"""Python state <-> bytes."""

from __future__ import annotations

from waycairn.codec.decoding import decode
from waycairn.codec.records import Record
from waycairn.codec.registry import register
from waycairn.codec.tree import encode
from waycairn.codec.types import Types

__all__ = ["Record", "Types", "decode", "encode", "register"]
