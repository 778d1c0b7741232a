"""The vault of the ledgers of streams: its key follows from the secret of the store, and no rotation changes it."""

from __future__ import annotations

from waycairn.model.keys import DataKeys
from waycairn.model.records import StoreInfo
from waycairn.model.vault import Vault


def ledger_vault(info: StoreInfo) -> Vault | None:
    """None for a plain store."""
    if info.vault is None:
        return None
    from waycairn.crypto.vault import AesVault

    return AesVault(info.id, DataKeys(1, {1: info.vault.digest("ledgers of streams", b"")}))
