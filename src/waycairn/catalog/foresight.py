"""What opening an encrypted store will ask for, read while the catalog is still on its way."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from waycairn.catalog.columns import decode_json
from waycairn.catalog.mounts import check_local
from waycairn.model.keys import PASSPHRASE

_PARAMETERS = "SELECT parameters FROM keys WHERE kind = ? ORDER BY generation, created, id"


def parameters_of_passphrases(catalog: Path) -> Sequence[Mapping[str, Any]]:
    """How the wrapping keys are made from the passphrases of a store in SQLite. Nothing is concluded from it, and nothing
    is written: whatever goes wrong is raised as it is, and met again by whoever opens the store."""
    check_local(catalog)
    with closing(sqlite3.connect(f"{catalog.as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
        return [decode_json(text) for (text,) in connection.execute(_PARAMETERS, (PASSPHRASE,))]
