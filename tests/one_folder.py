"""A small real source: the files of one folder, as one would write it by the contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from waycairn.backups.source import Contents, Target, Wish
from waycairn.errors import SourceChanged, WouldOverwrite
from waycairn.model.backups import Count, Restored
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory


class OneFolder:
    """No folders in it, no links."""

    kind = "folder"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.label = self.path.name

    def describe(self) -> Mapping[str, Any]:
        return {"path": str(self.path)}

    def count(self) -> Count:
        files = self._files()
        return Count(records=len(files), size=sum(path.stat().st_size for path in files))

    def export(self, target: Target, before: Contents | None) -> None:
        size = 0
        for done, path in enumerate(self._files(), start=1):
            stamp = path.stat().st_mtime_ns
            known = before.members.get(path.name) if before else None
            if known is None or known.facts["stamp"] != stamp or not target.carry(known):
                with target.member(path.name, stamp=stamp) as member, path.open("rb") as file:
                    while piece := file.read(1 << 20):
                        member.write(piece)
                        size += len(piece)
                        target.progress(done - 1, size)
                    member.write(b"", records=1)
            target.progress(done, size)

    def delete(self, contents: Contents) -> None:
        """All of it is looked at before the first goes."""
        there = [self.path / name for name in contents.members if (self.path / name).exists()]
        if changed := [path.name for path in there if path.read_bytes() != b"".join(contents.read(path.name))]:
            raise SourceChanged(f"{changed} changed. Nothing was deleted.")
        for path in there:
            crashpoint("folder.delete")
            path.unlink()

    def delete_without_backup(self) -> None:
        for path in self._files():
            path.unlink()

    def restore(self, contents: Contents, wish: Wish) -> Restored:
        to = Path(wish.to or self.path)
        to.mkdir(exist_ok=True)
        names = [name for name in contents.members if wish.only is None or name in wish.only]
        data = {name: b"".join(contents.read(name)) for name in names}
        same = [name for name in names if (to / name).exists() and (to / name).read_bytes() == data[name]]
        other = [name for name in names if name not in same and (to / name).exists()]
        if other and not wish.overwrite and not wish.is_missing_only:
            raise WouldOverwrite(f"{other} would be overwritten. Nothing was changed.")
        todo = [name for name in names if name not in same and not (wish.is_missing_only and name in other)]
        for done, name in enumerate(todo):
            draft = to / f".{name}.part"
            with draft.open("wb") as file:
                file.write(data[name])
                file.flush()
                flush(file.fileno())
            crashpoint("folder.restore")
            draft.rename(to / name)
            flush_directory(to)
            if wish.progress:
                wish.progress(done + 1, len(data[name]))
        return Restored(records=len(todo), skipped=len(same), overwritten=len(other), to=str(to))

    def _files(self) -> list[Path]:
        return sorted(path for path in self.path.glob("*") if not path.name.endswith(".part"))


def source_of(description: Mapping[str, Any], to: Any) -> OneFolder:
    return OneFolder(description["path"])
