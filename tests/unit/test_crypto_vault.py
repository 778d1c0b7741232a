"""Sealed values: they open where they belong, and nowhere else."""

from __future__ import annotations

import pytest

from waycairn.crypto import AesVault
from waycairn.crypto.vault import OVERHEAD
from waycairn.errors import Damaged
from waycairn.model.keys import DataKeys

KEYS = DataKeys(1, {1: b"k" * 32})
SECRET = b"s" * 32


@pytest.fixture
def vault() -> AesVault:
    return AesVault("store-1", KEYS, SECRET)


@pytest.mark.parametrize("plain", [b"", b"x", bytes(range(256)) * 40])
def test_what_is_sealed_opens_again(vault: AesVault, plain: bytes) -> None:
    """Also by another process with the same keys, and from a view."""
    sealed = vault.seal(memoryview(plain), b"runs\0name\0r1")
    assert plain == AesVault("store-1", KEYS, SECRET).unseal(memoryview(sealed), b"runs\0name\0r1")
    assert len(plain) + OVERHEAD == len(sealed)


def test_no_two_sealed_values_are_the_same(vault: AesVault) -> None:
    """A nonce is never used again, whoever seals."""
    other = AesVault("store-1", KEYS, SECRET)
    sealed = [by.seal(b"the same", b"here") for by in (vault, other) for _ in range(100)]
    assert 200 == len({one[3:23] for one in sealed}) == len({one[23:] for one in sealed})


def test_a_session_ends_before_its_nonces_could_meet(vault: AesVault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one has a salt, and so a key, of its own."""
    first = vault.seal(b"a", b"")
    vault._left = 0
    second = vault.seal(b"a", b"")
    assert first[3:11] != second[3:11]
    assert b"a" == vault.unseal(first, b"") == vault.unseal(second, b"")


@pytest.mark.parametrize("at", range(OVERHEAD + 6))
def test_each_byte_matters(vault: AesVault, at: int) -> None:
    """One bit of any byte: refused."""
    sealed = bytearray(vault.seal(b"secret", b"here"))
    sealed[at] ^= 4
    with pytest.raises(Damaged):
        vault.unseal(sealed, b"here")


@pytest.mark.parametrize("length", [0, 1, 22, 38, 44])
def test_what_is_cut_short_is_refused(vault: AesVault, length: int) -> None:
    """Never opened in part."""
    with pytest.raises(Damaged):
        vault.unseal(vault.seal(b"secret", b"here")[:length], b"here")


def test_a_sealed_value_opens_at_its_place_only(vault: AesVault) -> None:
    """Another row, another store, other keys, and plain bytes."""
    sealed = vault.seal(b"secret", b"runs\0name\0r1")
    for by, context in (
        (vault, b"runs\0name\0r2"),
        (AesVault("store-2", KEYS, SECRET), b"runs\0name\0r1"),
        (AesVault("store-1", DataKeys(1, {1: b"K" * 32}), SECRET), b"runs\0name\0r1"),
    ):
        with pytest.raises(Damaged, match="does not open with the keys of this store"):
            by.unseal(sealed, context)
    with pytest.raises(Damaged, match="runs name r1 is not sealed"):
        vault.unseal(b"plain bytes that are longer than what a sealed value adds", b"runs\0name\0r1")


def test_a_rotated_key_opens_what_was_sealed_before() -> None:
    """As long as the older generation is there; digests stay the same."""
    before = AesVault("s", DataKeys(1, {1: b"a" * 32}), SECRET)
    after = AesVault("s", DataKeys(2, {1: b"a" * 32, 2: b"b" * 32}), SECRET)
    without = AesVault("s", DataKeys(2, {2: b"b" * 32}), SECRET)
    old, new = before.seal(b"x", b""), after.seal(b"x", b"")
    assert b"x" == after.unseal(old, b"") == without.unseal(new, b"")
    assert (1, 2) == (old[1], new[1]) == (before.generation, after.generation)
    assert before.digest("run", b"a") == without.digest("run", b"a")
    with pytest.raises(Damaged, match="generation 1 of the data key, and the store has 2"):
        without.unseal(old, b"")


def test_a_digest_is_keyed_by_its_purpose_and_the_store(vault: AesVault) -> None:
    """And there is none before the secret of the store is known."""
    found = {
        vault.digest("run", b"a"),
        vault.digest("item", b"a"),
        vault.digest("run", b"b"),
        AesVault("store-1", KEYS, b"t" * 32).digest("run", b"a"),
    }
    assert [len(one) for one in found] == [32] * 4
    with pytest.raises(ValueError, match="no digests"):
        AesVault("store-1", KEYS).digest("run", b"a")


def test_keys_are_never_shown() -> None:
    """Not even by mistake."""
    assert "kkk" not in repr(KEYS)
