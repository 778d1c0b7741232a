"""Keys wrapped by keys: what opens, what does not, and that nothing secret is shown."""

import os
from dataclasses import replace
from itertools import pairwise

import pytest

from waycairn.crypto import keyring, wrapping
from waycairn.crypto.sources import (
    find_sources,
    from_environment,
    from_file,
    from_passphrase,
    from_text,
    write_key_file,
)
from waycairn.errors import Damaged, KeyMissing, KeyWrong
from waycairn.model.keys import DATA

STORE, AT = "0123456789abcdef", "here"
KEY = from_text("5a" * 32, "a key")
OTHER = from_text("5b" * 32, "another key")
WORDS = from_passphrase("correct horse", "words")


@pytest.fixture(autouse=True)
def cheap(monkeypatch):
    """Argon2id at its least, so that tests do not wait for it."""
    monkeypatch.setattr(wrapping, "_MEMORY", 64)
    monkeypatch.setattr(wrapping, "_TIMES", 1)


def opened(rows, *sources, store=STORE):
    return keyring.unlock(store, rows, sources, AT)


def test_what_was_created_opens():
    """By the same secret, with the same data key; a passphrase as well as a key."""
    for source in (KEY, WORDS):
        ring = keyring.create(STORE, source, 1.0)
        assert opened(ring.rows, source).data_keys == ring.data_keys
        assert len(ring.data_keys.by_generation[1]) == 32


def test_nothing_else_opens_it():
    """Neither another key, nor another kind of secret, nor none; and the error says what is lost and what to do."""
    ring = keyring.create(STORE, KEY, 1.0)
    with pytest.raises(KeyWrong, match=r"another key does not open .* at here.*a key file.*Restore"):
        opened(ring.rows, OTHER)
    with pytest.raises(KeyWrong):
        opened(ring.rows, from_passphrase("5a" * 32, "words"))
    with pytest.raises(KeyMissing, match=r"no key was given.*WAYCAIRN_KEY_FILE"):
        opened(ring.rows)


def test_a_wrapped_key_belongs_to_its_row_and_store():
    """Moved to another store, another row, or another generation it opens nothing."""
    ring = keyring.create(STORE, KEY, 1.0)
    with pytest.raises(KeyWrong):
        opened(ring.rows, KEY, store="fedcba9876543210")
    entry, data = ring.rows
    with pytest.raises(KeyWrong):
        opened([replace(entry, id="other"), data], KEY)
    second = ring.next_generation(2.0)
    older, newer = keyring.data_rows(second.rows)
    swapped = [replace(older, wrapped=newer.wrapped), replace(newer, wrapped=older.wrapped)]
    with pytest.raises(Damaged, match="data-1"):
        _ = opened([row for row in second.rows if row.kind != DATA] + swapped, KEY).data_keys


@pytest.mark.parametrize("at", [0, 1, 12, 13, 45, 60])
def test_every_changed_byte_is_noticed(at):
    """In the version, the nonce, the key and the tag."""
    entry, data = keyring.create(STORE, KEY, 1.0).rows
    wrapped = bytearray(entry.wrapped)
    wrapped[at] ^= 1
    with pytest.raises((KeyWrong, Damaged)):
        opened([replace(entry, wrapped=bytes(wrapped)), data], KEY)
    with pytest.raises(Damaged):
        opened([replace(entry, wrapped=entry.wrapped[:-1]), data], KEY)


def test_several_ways_in():
    """Each opens the same data key, and goes on doing so when another is removed; the last one stays."""
    ring = keyring.create(STORE, KEY, 1.0).adding(WORDS, 2.0, "for the safe")
    by_words = opened(ring.rows, WORDS)
    assert by_words.data_keys == opened(ring.rows, KEY).data_keys
    left = by_words.removing(ring.opened_by)
    assert opened(left.rows, WORDS).data_keys == ring.data_keys
    with pytest.raises(KeyWrong):
        opened(left.rows, KEY)
    with pytest.raises(ValueError, match="only way in"):
        left.removing(left.opened_by)
    with pytest.raises(ValueError, match="there is no way in 'x'"):
        ring.removing("x")


def test_another_secret_for_a_way_in():
    """The old one opens nothing any more, the data keys are the same."""
    ring = keyring.create(STORE, KEY, 1.0, "mine")
    new = ring.replacing(ring.opened_by, OTHER, 2.0)
    assert opened(new.rows, OTHER).data_keys == ring.data_keys
    assert keyring.way_in(new.rows, new.opened_by).parameters["label"] == "mine"
    with pytest.raises(KeyWrong):
        opened(new.rows, KEY)


def test_generations_of_the_data_key():
    """A new one is used at once, the old ones are there until they are dropped."""
    first = keyring.create(STORE, KEY, 1.0)
    second = first.next_generation(2.0)
    keys = opened(second.rows, KEY).data_keys
    assert keys.current == 2
    assert keys.by_generation[1] == first.data_keys.by_generation[1]
    assert second.main != first.main, "who had the main key once has it no more"
    last = second.with_progress(1, table="runs").without_generation(1)
    assert list(opened(last.rows, KEY).data_keys.by_generation) == [2]
    with pytest.raises(ValueError, match="in use"):
        last.without_generation(2)


def test_a_new_data_key_for_all_ways_in():
    """Nobody has to know the passphrases of the others."""
    ring = keyring.create(STORE, KEY, 1.0).adding(WORDS, 2.0).next_generation(3.0)
    assert opened(ring.rows, WORDS).data_keys == opened(ring.rows, KEY).data_keys
    assert ring.data_keys.current == 2


def test_damaged_costs_are_refused():
    """A row that asks for a terabyte of memory is told, not obeyed."""
    entry, data = keyring.create(STORE, WORDS, 1.0).rows
    for costs in ({"memory": 2**40}, {"times": 0}, {"lanes": "4"}, {"salt": 7}):
        with pytest.raises(Damaged):
            opened([replace(entry, parameters={**entry.parameters, **costs}), data], WORDS)


def test_nothing_secret_is_shown():
    """Neither a secret nor a key is in the repr of anything that holds one, nor in the error of a bad key."""
    ring = keyring.create(STORE, KEY, 1.0)
    shown = repr((KEY, WORDS, ring, ring.rows, ring.data_keys))
    secrets = [KEY.secret, WORDS.secret, ring.main, ring.data_keys.by_generation[1]]
    for secret in secrets:
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown
    with pytest.raises(KeyWrong) as bad:
        from_text("5a" * 31, "WAYCAIRN_KEY")
    assert "5a5a" not in str(bad.value)


def test_key_files(tmp_path):
    """32 bytes or 64 digits, for the owner alone; never overwritten."""
    path = tmp_path / "key"
    write_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert from_file(path).secret == bytes.fromhex(path.read_text())
    with pytest.raises(FileExistsError, match="never overwritten"):
        write_key_file(path)
    raw = tmp_path / "raw"
    raw.write_bytes(bytes(range(32)))
    raw.chmod(0o600)
    assert from_file(raw).secret == bytes(range(32))
    raw.chmod(0o640)
    with pytest.raises(KeyWrong, match="chmod 600"):
        from_file(raw)
    with pytest.raises(KeyMissing, match="cannot be read"):
        from_file(tmp_path / "gone")
    short = tmp_path / "short"
    short.touch(0o600)
    with pytest.raises(KeyWrong, match="64 hexadecimal"):
        from_file(short)


def test_two_keys_are_never_the_same(tmp_path):
    """Each file holds fresh randomness."""
    paths = [tmp_path / str(number) for number in range(3)]
    for path in paths:
        write_key_file(path)
    assert all(one.read_bytes() != other.read_bytes() for one, other in pairwise(sorted(paths)))


def test_where_secrets_come_from(tmp_path, monkeypatch):
    """An argument before the environment, the environment before the settings."""
    for name in list(os.environ):
        if name.startswith("WAYCAIRN_"):
            monkeypatch.delenv(name)
    path = tmp_path / "key"
    write_key_file(path)
    assert find_sources() == []
    assert [one.where for one in find_sources(settings_key_file=str(path))] == [f"the key file {path}"]
    found = from_environment({"WAYCAIRN_KEY": "5a" * 32, "WAYCAIRN_KEY_FILE": str(path), "WAYCAIRN_PASSPHRASE": "x"})
    assert [one.kind for one in found] == ["key", "key", "passphrase"]
    monkeypatch.setenv("WAYCAIRN_PASSPHRASE", "words")
    assert [one.where for one in find_sources(settings_key_file=str(path))] == ["WAYCAIRN_PASSPHRASE"]
    assert [one.where for one in find_sources(key_file=path)] == [f"the key file {path}"]
    with pytest.raises(ValueError, match="empty"):
        find_sources(passphrase="")
