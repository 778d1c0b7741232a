"""The document that the page is built against: `python -m waycairn.server.openapi` writes dashboard/openapi.json.

It is kept in the repository, so that the page can be built where no server can be imported, and so that a change of the API
is seen where it is reviewed. A test holds it equal to the app's.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from waycairn.server.app import create_app
from waycairn.work.store import open_store

__all__ = ["document_text"]

PATH = Path("dashboard") / "openapi.json"


def document_text() -> str:
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "store") as store:
        document = create_app(store).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PATH
    path.write_text(document_text())
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
