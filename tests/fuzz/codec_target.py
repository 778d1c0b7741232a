"""What any bytes may do to the decoder: give a value, or Damaged, StoreTooNew, UnknownType. Nothing else, ever."""

import dataclasses
import enum
import warnings

from waycairn.codec import Types, decode, encode, register
from waycairn.errors import Damaged, StoreTooNew, UnknownType


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


@dataclasses.dataclass
class Node:
    name: str
    colour: Colour = Colour.RED
    children: "list[Node]" = dataclasses.field(default_factory=list)


@register(name="fuzz crate", encode=lambda crate: crate.content, decode=lambda content: Crate(content))  # noqa: PLW0108
class Crate:
    def __init__(self, content):
        self.content = content


TYPES = Types.of(Node)
LARGEST_BUFFER = 1 << 16


def fetch(number):
    """Buffers as a store would give them: a few, of a fixed size; LookupError beyond."""
    if number > 3:
        raise IndexError(number)
    return memoryview(bytearray(b"\x01" * (LARGEST_BUFFER >> number)))


def decode_anything(data: bytes) -> object:
    """The value, or None where the bytes were refused as they should be. Any other exception is a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns about odd dtypes, torch about beta features
        for options in ({"types": TYPES}, {"strict": False}, {"types": TYPES, "only": "a.0"}):
            value = None
            try:
                value = decode(data, fetch, **options)
            except (Damaged, StoreTooNew, UnknownType):
                continue
            except KeyError as error:
                if "only" not in options or " has no part " not in str(error):
                    raise
            if "only" not in options:
                encode_again(value)
        return value


def encode_again(value: object) -> None:
    """What could be decoded can be encoded again, or is refused with a sentence (a Record stands for a type)."""
    try:
        encode(value)
    except (TypeError, ValueError) as error:
        if "Nothing was stored" not in str(error):
            raise
