"""Encryption at work: AES-256-GCM under keys that follow from the data keys of a store.

Every sealed thing says by itself which version and which generation of the data key it was made with; what it is and
where it belongs is bound to it and has to be known to open it.
"""

from __future__ import annotations

from waycairn.crypto.given import GivenKeys
from waycairn.crypto.vault import AesVault

__all__ = ["AesVault", "GivenKeys"]
