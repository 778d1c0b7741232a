"""Packs in several places: beside the catalog, and in archives, which may be away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from waycairn.blobs.local import LocalBlobs
from waycairn.errors import Damaged, StoreUnreachable
from waycairn.model.ids import PackId
from waycairn.ports import BlobCapabilities, BlobInfo, Blobs, BlobWriter

PlaceOf = Callable[[PackId], str | None]


class PlacedBlobs:
    """Implements `ports.Blobs`: what is new goes to the main place, what is asked for is looked for there first. The place
    of a pack never changes (what moves gets into a new pack), so one that was learned is right for ever. Thread-safe."""

    def __init__(self, main: Blobs, place_of: PlaceOf, store: str, base: Path) -> None:
        """`place_of` asks the catalog. Several stores may share a directory as their archive: each has a folder in it,
        named by its id. A place without a root is meant from `base`."""
        self._main = main
        self._place_of = place_of
        self._folder = f"waycairn-{store}"
        self._base = base
        self._known: dict[PackId, str] = {}

    @property
    def capabilities(self) -> BlobCapabilities:
        return self._main.capabilities

    def named(self, directory: Path) -> str:
        """The place that a directory is, as rows name it: within the store's own without a root, so that it may be moved
        together with it."""
        directory = directory.expanduser().absolute()
        return str(directory.relative_to(self._base) if directory.is_relative_to(self._base) else directory)

    def at(self, place: str | None) -> Blobs:
        """One place alone, to write to; None is the main one. The folder is made with the first pack."""
        return self._main if place is None else LocalBlobs(self._path(place))

    def is_reachable(self, place: str) -> bool:
        """Whether something of this store lies there. A disk that is not mounted leaves an empty directory, or none."""
        return self._path(place).is_dir()

    def _path(self, place: str) -> Path:
        return self._base / place / self._folder

    def folders(self, places: Iterable[str]) -> list[Path]:
        """Of the main place, if that is a folder, and of these."""
        main = [self._main.directory] if isinstance(self._main, LocalBlobs) else []
        return [*main, *map(self._path, places)]

    def create(self, name: PackId, size_hint: int) -> BlobWriter:
        return self._main.create(name, size_hint)

    def read_into(self, name: PackId, offset: int, target: memoryview) -> None:
        if name not in self._known:
            try:
                self._main.read_into(name, offset, target)
            except Damaged:
                if self._main.head(name) is not None or self._find(name) is None:
                    raise
            else:
                return
        self._archive(name).read_into(name, offset, target)

    def head(self, name: PackId) -> BlobInfo | None:
        found = None if name in self._known else self._main.head(name)
        if found is not None or self._find(name) is None:
            return found
        return self._archive(name).head(name)

    def list(self) -> Iterator[BlobInfo]:
        """Those of the main place."""
        return self._main.list()

    def delete(self, name: PackId) -> None:
        """Raises StoreUnreachable, with the `place`, for a pack of an archive that is away."""
        if self._find(name) is not None:
            self._archive(name).delete(name)
        self._main.delete(name)

    def now(self) -> float:
        return self._main.now()

    def delete_unfinished(self, before: float, *, dry_run: bool = False) -> int:
        return self._main.delete_unfinished(before, dry_run=dry_run)

    def _find(self, name: PackId) -> str | None:
        if name not in self._known and (place := self._place_of(name)) is not None:
            self._known[name] = place
        return self._known.get(name)

    def _archive(self, name: PackId) -> Blobs:
        place = self._known[name]
        if not self.is_reachable(place):
            raise StoreUnreachable(
                f"pack {name} lies in the archive {place}, which is not there now. Nothing is lost, and what does not "
                "need it can be read. Bring the archive back (mount it), then try again; or bring checkpoints back from it "
                "for good: waycairn archive --restore",
                place=place,
                pack=name,
            )
        return self.at(place)
