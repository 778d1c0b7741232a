"""How often what value was measured, within 1.6 %: buckets that are the same everywhere, so that any two can be added.

Each power of two is divided into 32 buckets of equal width, as in HDR histograms (Tene); only those that are in use are
kept, so 1 µs and 1 TB fit into one range, and a row of the catalog takes some tens of bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, frexp, inf, ldexp

import msgspec

_PARTS = 32
"""Buckets of one power of two: the middle of one is at most 1/64 away from all that is in it."""
_LOWEST = -40
"""Values below 2**-41 (half a picosecond), zero among them, are in the lowest bucket."""
_HIGHEST = 80
_VERSION = 1


_LEAST, _GREATEST = 2.0 ** (_LOWEST - 1), 2.0**_HIGHEST


def bucket_of(value: float) -> int:
    """Number of the bucket; negative values and NaN are taken for zero, what is beyond 2**80 for that."""
    if not value >= _LEAST:
        return 0
    fraction, exponent = frexp(min(_GREATEST, value))
    return (exponent - _LOWEST) * _PARTS + int(fraction * (2 * _PARTS)) - (_PARTS - 1)


def lower_end(bucket: int) -> float:
    """The least value that is in a bucket."""
    if bucket <= 0:
        return 0.0
    power, part = divmod(bucket - 1, _PARTS)
    return ldexp(0.5 + part / (2 * _PARTS), power + _LOWEST)


class Histogram:
    """Not thread-safe. `total` is the exact sum of what was added."""

    __slots__ = ("buckets", "count", "total")

    def __init__(self, buckets: Mapping[int, int] | None = None, total: float = 0.0) -> None:
        self.buckets = dict(buckets or {})
        self.count = sum(self.buckets.values())
        self.total = total

    def add(self, value: float) -> None:
        bucket, buckets = bucket_of(value), self.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        self.count += 1
        self.total += value

    def merge(self, other: Histogram) -> None:
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def percentile(self, share: float) -> float | None:
        """The value that a `share` (0 to 1) of all is not above; None where nothing was measured."""
        if not self.count:
            return None
        rank, seen, bucket = max(1, ceil(share * self.count)), 0, 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                break
        return (lower_end(bucket) + lower_end(bucket + 1)) / 2 if bucket else 0.0

    def up_to(self, limit: float) -> int:
        """How many are below `limit`, exactly where that is the end of a bucket (a power of two is)."""
        if limit == inf:
            return self.count
        first = bucket_of(limit)
        return sum(count for bucket, count in self.buckets.items() if bucket < first)

    def encode(self) -> bytes:
        """A version byte; msgpack: an array of pairs, the distance to the bucket before and how many are in it."""
        pairs, before = [], 0
        for bucket in sorted(self.buckets):
            pairs += [bucket - before, self.buckets[bucket]]
            before = bucket
        return bytes([_VERSION]) + msgspec.msgpack.encode(pairs)

    @classmethod
    def decode(cls, data: bytes, total: float) -> Histogram:
        """Raises ValueError for what is none."""
        if data[:1] != bytes([_VERSION]):
            raise ValueError(f"a histogram of version {data[:1].hex() or 'none'}")
        return cls(dict(_counted(msgspec.msgpack.decode(data[1:], type=list[int]))), total)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them in one."""
    whole = Histogram()
    for one in histograms:
        whole.merge(one)
    return whole


def _counted(pairs: list[int]) -> Iterable[tuple[int, int]]:
    if len(pairs) % 2 or min(pairs, default=0) < 0:
        raise ValueError("a histogram that is cut off")
    bucket = 0
    for distance, count in zip(pairs[::2], pairs[1::2], strict=True):
        bucket += distance
        yield bucket, count
