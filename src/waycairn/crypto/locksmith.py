"""Opens the keys of a store with what the user gave, named in the environment or in the settings."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from waycairn.crypto.sources import VARIABLES, Source, find_sources, from_passphrase
from waycairn.errors import KeyMissing, KeyWrong, NotEncrypted
from waycairn.model.encryption_settings import EncryptionSettings
from waycairn.model.keys import PASSPHRASE, DataKeys, WrappedKey

if TYPE_CHECKING:
    from waycairn.crypto.foreseen import Foreseen, Parameters
    from waycairn.crypto.keyring import Keyring

log = logging.getLogger("waycairn")

*_KEYS, _WORDS = VARIABLES
_KEY_FILE = "WAYCAIRN_KEY_FILE"
AskPerson = Callable[[str], str]
"""A person: gets a question, gives a passphrase."""


class Locksmith:
    """Implements `ports.Keyholder`. Secrets are looked up when they are needed: a plain store costs nothing."""

    def __init__(
        self,
        address: str,
        *,
        encrypt: bool = False,
        passphrase: str | None = None,
        key_file: str | os.PathLike[str] | None = None,
        settings: EncryptionSettings | None = None,
        ask: AskPerson | None = None,
    ) -> None:
        """`address` is for messages."""
        self._address = address
        self._settings = settings or EncryptionSettings()
        self._encrypts = encrypt or passphrase is not None or key_file is not None or self._settings.encrypt
        self._passphrase = passphrase
        self._key_file = key_file
        self._ask = ask
        self._is_plain = False
        self._source: Source | None = None
        self._keyring: Keyring | None = None
        self._foreseen: Foreseen | None = None

    @classmethod
    def of(cls, address: str, source: Source) -> Locksmith:
        """Opens, and creates, by this alone."""
        found = cls(address, encrypt=True)
        found._source = source
        return found

    @classmethod
    def plain(cls, address: str) -> Locksmith:
        """Creates plain stores, whatever the environment says."""
        found = cls(address)
        found._is_plain = True
        return found

    @property
    def source(self) -> Source | None:
        """What opened the store last."""
        return self._source

    @property
    def keyring(self) -> Keyring | None:
        """As it was opened last; None in a plain store."""
        return self._keyring

    @property
    def variables(self) -> Mapping[str, str]:
        """What another process of this user is told in its environment, so that it opens the store too: as much as this one
        was told by its own, or by the name of a file. What a person typed is in none."""
        if self._key_file is not None:
            return {_KEY_FILE: os.fspath(Path(self._key_file).absolute())}
        return {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}

    def adopt(self, keyring: Keyring) -> None:
        """These are the keys from now on."""
        self._keyring, self._source = keyring, keyring.source

    def create(self, store: str) -> tuple[DataKeys, Sequence[WrappedKey]] | None:
        sources = [self._source] if self._source else self._sources()
        if self._is_plain or not (sources or self._encrypts):
            return None
        from waycairn.crypto import keyring

        sources = sources or self._asked(f"New passphrase for the store at {self._address}: ", twice=True)
        if not sources:
            raise KeyMissing(
                f"an encrypted store was to be created at {self._address}, and no key was given. Nothing was created. Give "
                "passphrase=… or key_file=…, or set WAYCAIRN_KEY_FILE; `waycairn key file PATH` makes a key.",
                address=self._address,
            )
        self._source = sources[0]
        self._keyring = keyring.create(store, sources[0], time.time())
        return self._keyring.data_keys, self._keyring.rows

    def foresee(self, parameters: Callable[[], Iterable[Parameters]]) -> None:
        """The store is about to be opened: work on the passphrase begins now, where one was given. A key file is not touched,
        since it may be a pipe that can be read once."""
        if self._source or self._key_file is not None or any(map(os.environ.get, _KEYS)):
            return
        words = self._passphrase or os.environ.get(_WORDS)
        if words:
            from waycairn.crypto.foreseen import Foreseen

            self._foreseen = Foreseen(from_passphrase(words, _WORDS).secret, parameters)

    def open(self, store: str, rows: Sequence[WrappedKey], address: str) -> DataKeys:
        from waycairn.crypto import keyring

        if self._keyring is not None and (known := self._keyring.as_it_is(store, rows)) is not None:
            self._keyring = known
            return known.data_keys
        sources = [self._source] if self._source else self._sources()
        if not sources and any(row.kind == PASSPHRASE for row in rows):
            sources = self._asked(f"Passphrase of the store at {address}: ")
        if self._foreseen is None:
            self._keyring = keyring.unlock(store, rows, sources, address)
        else:
            foreseen, self._foreseen = self._foreseen, None
            self._keyring = keyring.unlock(store, rows, sources, address, foreseen.wrapping_key)
        self._source = self._keyring.source
        return self._keyring.data_keys

    def meets_plain(self, address: str) -> None:
        if self._encrypts:
            raise NotEncrypted(
                f"the store at {address} is not encrypted, and it was to be. Nothing was read or written. Make an encrypted "
                "copy (`waycairn copy --encrypt`), or open it without a key.",
                address=address,
            )
        named = [name for name in VARIABLES if os.environ.get(name)]
        if named:
            # Whoever sets a key thinks that it is used.
            log.warning("the store at %s is not encrypted, although %s is set", address, named[0])

    def _sources(self) -> Sequence[Source]:
        return find_sources(
            passphrase=self._passphrase, key_file=self._key_file, settings_key_file=self._settings.key_file
        )

    def _asked(self, question: str, *, twice: bool = False) -> Sequence[Source]:
        if self._ask is None:
            return ()
        words = self._ask(question)
        if twice and self._ask("The same again: ") != words:
            raise KeyWrong("the two passphrases differ. Nothing was created. Try again.")
        return [from_passphrase(words, "the passphrase that was typed")]
