"""Files as a state."""

from __future__ import annotations

import os
from pathlib import Path


class Files:
    """The files below a directory, by their relative names: `store.save("results", Files("out"))` saves them as a dict of
    names to bytes, and `store.load(checkpoint, into=Files("again"))` writes such a dict to files. Both go piece by piece, in
    some 60 MiB of memory (130 of what does not compress), whatever the size.

    Names, contents and nothing else: for owners, times, links and empty directories there is `waycairn backup`.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def __repr__(self) -> str:
        return f"Files({str(self.directory)!r})"
