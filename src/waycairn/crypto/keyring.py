"""The keys of one encrypted store, opened.

    a passphrase or a key  --Argon2id / BLAKE3-->  wrapping key  --wraps-->  main key  --wraps-->  data keys

There are as many ways in as one likes, each of them a row that holds the main key, as in LUKS; so a data key can be added
without knowing the passphrases of all. Nothing here touches a store: what changes gives a new keyring, whose rows then
take the place of the old ones in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from waycairn.crypto.sources import VARIABLES, Source
from waycairn.crypto.wrapping import damaged, new_key, new_parameters, unwrap, wrap, wrapping_key
from waycairn.errors import KeyMissing, KeyWrong
from waycairn.model.keys import DATA, DataKeys, WrappedKey
from waycairn.world.randomness import new_nonce

Derive = Callable[[str, bytes, Mapping[str, Any]], bytes]

_LOST = (
    "Without one of its ways in nothing in it can be read, by nobody: that is what encryption is for. Restore the passphrase or "
    "the key file from where it is kept; if all of them are lost, the data is lost."
)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Immutable. Never printed: what it holds is secret."""

    store: str
    rows: Sequence[WrappedKey] = field(repr=False)
    main: bytes = field(repr=False)
    opened_by: str
    """Id of the way in that was used."""
    source: Source
    """What opened it."""

    @property
    def data_keys(self) -> DataKeys:
        """Raises Damaged if one of them does not open."""
        keys = {row.generation: self._data_key(row) for row in data_rows(self.rows)}
        return DataKeys(max(keys), keys)

    def _data_key(self, row: WrappedKey) -> bytes:
        key = unwrap(self.main, self.store, row)
        if key is None:
            raise damaged(row, "the main key of the store does not open it")
        return key

    def as_it_is(self, store: str, rows: Sequence[WrappedKey]) -> Keyring | None:
        """With the rows of now, if the main key is still the same: then nobody has to be asked again."""
        if store != self.store or any(unwrap(self.main, store, row) is None for row in data_rows(rows)):
            return None
        return replace(self, rows=list(rows))

    # -- ways in -------------------------------------------------------------------------------------------------------

    def adding(self, source: Source, now: float, label: str | None = None) -> Keyring:
        """One more way in."""
        return replace(self, rows=[*self.rows, _way_in(self.store, self.main, source, now, label)])

    def removing(self, id_: str) -> Keyring:
        """ValueError if there is none of that id, or it is the last."""
        row = way_in(self.rows, id_)
        if sum(one.is_way_in for one in self.rows) == 1:
            raise ValueError(
                f"{id_} is the only way in: without it nothing in the store could be read ever again. Nothing was changed. "
                "Add another one first: waycairn key add"
            )
        return replace(self, rows=[one for one in self.rows if one is not row])

    def replacing(self, id_: str, source: Source, now: float) -> Keyring:
        """Another secret in place of that of a way in. ValueError if there is none of that id."""
        row = way_in(self.rows, id_)
        new = _way_in(self.store, self.main, source, now, row.parameters.get("label"))
        rows = [new if one is row else one for one in self.rows]
        if id_ != self.opened_by:
            return replace(self, rows=rows)
        return replace(self, rows=rows, opened_by=new.id, source=source)

    # -- data keys -----------------------------------------------------------------------------------------------------

    def next_generation(self, now: float) -> Keyring:
        """A new data key, which is used from now on; the old ones are still needed to read. Where there is one way in, the
        main key is a new one, too: who once had the old one learns nothing of what is written from now on."""
        generation = self.data_keys.current + 1
        if sum(row.is_way_in for row in self.rows) > 1:
            return replace(self, rows=[*self.rows, _data_row(self.store, self.main, new_key(), generation, now)])
        old = way_in(self.rows, self.opened_by)
        main = new_key()
        entry = _way_in(self.store, main, self.source, now, old.parameters.get("label"))
        kept = [_wrapped(self.store, main, self._data_key(row), row) for row in data_rows(self.rows)]
        rows = [entry, *kept, _data_row(self.store, main, new_key(), generation, now)]
        return replace(self, rows=rows, main=main, opened_by=entry.id)

    def with_progress(self, generation: int, **facts: object) -> Keyring:
        """How far the rotation of that generation is."""
        rows = [
            replace(row, parameters={**row.parameters, **facts})
            if row.kind == DATA and row.generation == generation
            else row
            for row in self.rows
        ]
        return replace(self, rows=rows)

    def without_generation(self, generation: int) -> Keyring:
        """An old data key is dropped: what is still sealed with it is lost."""
        if generation == self.data_keys.current:
            raise ValueError("the data key in use cannot be dropped")
        return replace(self, rows=[row for row in self.rows if not (row.kind == DATA and row.generation == generation)])


def create(store: str, source: Source, now: float, label: str | None = None) -> Keyring:
    """The keys of a new store."""
    main = new_key()
    entry = _way_in(store, main, source, now, label)
    return Keyring(store, [entry, _data_row(store, main, new_key(), 1, now)], main, entry.id, source)


def unlock(
    store: str,
    rows: Sequence[WrappedKey],
    sources: Iterable[Source],
    address: str,
    derive: Derive = wrapping_key,
) -> Keyring:
    """`derive` makes wrapping keys. Raises KeyMissing, KeyWrong, Damaged."""
    sources = list(sources)
    ways = [row for row in rows if row.is_way_in]
    if not sources:
        raise KeyMissing(
            f"the store at {address} is encrypted, and no key was given. Nothing was read or changed. It opens by "
            f"{_ways_of(ways)}: give wc.open(…, passphrase=… or key_file=…), or set one of {', '.join(VARIABLES)}. {_LOST}",
            address=address,
        )
    if not ways or not any(row.kind == DATA for row in rows):
        raise KeyWrong(
            f"the store at {address} is encrypted, and its table of keys is not complete. Nothing was read or changed. Take "
            f"the catalog from a backup. {_LOST}",
            address=address,
        )
    for source in sources:
        for row in ways:
            if row.kind == source.kind and (main := _opened(store, row, source, derive)) is not None:
                return Keyring(store, list(rows), main, row.id, source)
    tried = " and ".join(source.where for source in sources)
    raise KeyWrong(
        f"{tried} {'does' if len(sources) == 1 else 'do'} not open the encrypted store at {address}. Nothing was read or "
        f"changed. It opens by {_ways_of(ways)}. {_LOST}",
        address=address,
        tried=[source.where for source in sources],
    )


def opens(store: str, row: WrappedKey, source: Source) -> bool:
    """Whether it is the secret of this way in."""
    return row.kind == source.kind and _opened(store, row, source) is not None


def way_in(rows: Iterable[WrappedKey], id_: str) -> WrappedKey:
    """ValueError if there is none of that id."""
    ways = {row.id: row for row in rows if row.is_way_in}
    if id_ not in ways:
        raise ValueError(f"there is no way in {id_!r}; there are {', '.join(ways)}. Nothing was changed.")
    return ways[id_]


def data_rows(rows: Iterable[WrappedKey]) -> list[WrappedKey]:
    """By generation."""
    return sorted((row for row in rows if row.kind == DATA), key=lambda row: row.generation)


def _opened(store: str, row: WrappedKey, source: Source, derive: Derive = wrapping_key) -> bytes | None:
    return unwrap(derive(row.kind, source.secret, row.parameters), store, row)


def _way_in(store: str, main: bytes, source: Source, now: float, label: str | None) -> WrappedKey:
    parameters = new_parameters(source.kind)
    named = {} if label is None else {"label": label}
    row = WrappedKey(
        id=new_nonce()[:8], generation=0, kind=source.kind, parameters={**parameters, **named}, wrapped=b"", created=now
    )
    return replace(row, wrapped=wrap(main, wrapping_key(source.kind, source.secret, parameters), store, row))


def _data_row(store: str, main: bytes, key: bytes, generation: int, now: float) -> WrappedKey:
    row = WrappedKey(id=f"data-{generation}", generation=generation, kind=DATA, wrapped=b"", created=now)
    return _wrapped(store, main, key, row)


def _wrapped(store: str, main: bytes, key: bytes, row: WrappedKey) -> WrappedKey:
    return replace(row, wrapped=wrap(key, main, store, row))


def _ways_of(ways: Sequence[WrappedKey]) -> str:
    kinds = sorted({row.kind for row in ways})
    return (
        " or ".join({"passphrase": "a passphrase", "key": "a key file"}.get(kind, kind) for kind in kinds) or "nothing"
    )
