"""The folder of a mirrored session: written, rotated, read back. See `mirror` for what is in the files."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from waycairn.errors import Damaged, StoreError
from waycairn.model.journal import JournalRows
from waycairn.model.records import CheckpointRecord, RunRecord, Stored
from waycairn.store import StoreCore
from waycairn.upkeep.mirror import (
    FORMER,
    LOG,
    MOST_EXACT,
    VERSION,
    exact,
    folder_name,
    rows_facts,
    rows_of,
    run_facts,
    signed,
    unsigned,
)
from waycairn.upkeep.readable import readable
from waycairn.upkeep.sizes import iso
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, make_directory, translated, write_all

log = logging.getLogger("waycairn")

_ALL_ELEMENTS = 1 * 2**20
"""Bytes of a state up to which its arrays are written out for people; larger ones are described."""


def mirror_root(core: StoreCore) -> Path | None:
    """Beside the catalog, or beside the packs where the catalog is a server."""
    return None if core.scratch is None else core.scratch.with_name("mirror")


def folder_of(core: StoreCore, run: RunRecord) -> Path | None:
    """Where the mirror of a run lies, or would lie."""
    root = mirror_root(core)
    if root is None:
        return None
    names = [(run.name, run.key)]
    above = run.parent
    while above is not None:
        parent = core.catalog.get_run(above)
        if parent is None:
            break
        names.insert(0, (parent.name, parent.key))
        above = parent.parent
    return root / folder_name(names)


class MirrorFolder:
    """One run's. Used by one thread. What the catalog holds is copied, in order; what it does not hold any more goes."""

    def __init__(self, core: StoreCore, run: RunRecord, folder: Path) -> None:
        self._core = core
        self._run = run
        self._folder = folder
        self._known: list[int] | None = None
        """Sequences of the lines that count; None before the folder was looked at."""

    def sync(self, keep: int) -> int:
        """Copy what was committed since; how many commits that were. Durable when it returns. Raises StoreError."""
        with translated("the mirror of a session", self._folder):
            known = self._prepare()
            cuts = self._core.catalog.journal(self._run.id, known[-1] - 1 if known else 0)
            if known and known[-1] not in cuts:
                cuts = self._go_back(known)
            new = sorted(sequence for sequence in cuts if not known or sequence > known[-1])
            if not new:
                return 0
            self._write_files([sequence for sequence in new if cuts[sequence].iterations][-keep:], cuts)
            self._append([{"sequence": sequence, **rows_facts(cuts[sequence])} for sequence in new])
            known.extend(new)
            self._rotate(keep)
            return len(new)

    # -- looking -------------------------------------------------------------------------------------------------

    def _prepare(self) -> list[int]:
        if self._known is not None:
            return self._known
        make_directory(self._folder)
        begun = read_log(self._folder)
        if begun is not None and begun.run["id"] != self._run.id:
            self._set_aside()
            begun = None
        for left in self._folder.glob(".*.part"):
            left.unlink(missing_ok=True)
        if begun is None:
            self._append([{"run": run_facts(self._run, self._core.catalog.info.id)}])
            flush_directory(self._folder)
        elif begun.end < (self._folder / LOG).stat().st_size:
            os.truncate(self._folder / LOG, begun.end)  # a line that was cut short: the next one stands for itself
        self._known = [] if begun is None else sorted(begun.cuts)
        return self._known

    def _set_aside(self) -> None:
        """The run of this name before: its mirror may be all that is left of it."""
        former = self._folder.with_name(self._folder.name + FORMER)
        shutil.rmtree(former, ignore_errors=True)
        crashpoint("mirror.aside")
        self._folder.replace(former)
        flush_directory(self._folder.parent)
        make_directory(self._folder)

    def _go_back(self, known: list[int]) -> Mapping[int, JournalRows]:
        """The run was cut back behind the newest line."""
        cuts = self._core.catalog.journal(self._run.id, 0)
        while known and known[-1] not in cuts:
            known.pop()
        last = known[-1] if known else 0
        for sequence in sequences_in(self._folder):
            if sequence > last:
                _path(self._folder, sequence).unlink(missing_ok=True)
        self._append([{"back": last}])
        return cuts

    # -- writing -------------------------------------------------------------------------------------------------

    def _write_files(self, sequences: list[int], cuts: Mapping[int, JournalRows]) -> None:
        for sequence in sequences:
            record = self._core.catalog.get_checkpoint(self._run.id, sequence)
            if record is None:
                continue  # retention took it: what the line says is all there is
            draft = self._folder / f".{sequence}.json.part"
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                write_all(handle, signed(self._document(record, cuts[sequence]), indent=1))
                crashpoint("mirror.written")
                flush(handle)
            finally:
                os.close(handle)
            crashpoint("mirror.flushed")
            draft.replace(_path(self._folder, sequence))
            crashpoint("mirror.renamed")
        if sequences:
            flush_directory(self._folder)
            crashpoint("mirror.named")

    def _append(self, documents: list[dict[str, Any]]) -> None:
        path = self._folder / LOG
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            write_all(handle, b"".join(signed({"version": VERSION, **one}) for one in documents))
            crashpoint("mirror.appended")
            flush(handle)
        finally:
            os.close(handle)
        crashpoint("mirror.log")

    def _rotate(self, keep: int) -> None:
        for sequence in sequences_in(self._folder)[:-keep]:
            crashpoint("mirror.rotate")
            _path(self._folder, sequence).unlink(missing_ok=True)

    def _document(self, record: CheckpointRecord, rows: JournalRows) -> dict[str, Any]:
        return {
            "version": VERSION,
            "run": run_facts(self._run, self._core.catalog.info.id),
            "sequence": record.sequence,
            "checkpoint": record.id,
            "created": iso(record.created),
            **rows_facts(rows),
            **self._state_facts(record),
        }

    def _state_facts(self, record: CheckpointRecord) -> dict[str, Any]:
        """The state for people and for machines; null with a reason where there is none."""
        stored = record.checkpoint.stored
        facts = {"kind": record.checkpoint.kind, "role": record.checkpoint.role}
        try:
            encoded = None if stored.raw_bytes > MOST_EXACT else self._core.load_encoded(stored)
            shown = None if encoded is None else readable_state(self._core, stored)
        except Damaged as error:
            return _no_state(f"its checkpoint is damaged: {error}")
        if encoded is None:
            return {**_no_state(f"it has {stored.raw_bytes} bytes, more than {MOST_EXACT}"), "holds": facts}
        return {"holds": facts, "state": shown, "exact": exact(encoded), "reason": None}


def readable_state(core: StoreCore, stored: Stored) -> Any:
    """JSON values; None where a library that its values need is not here."""
    with suppress(ModuleNotFoundError):
        return readable(core.load(stored, strict=False), data=stored.raw_bytes <= _ALL_ELEMENTS)
    return None


def _no_state(reason: str) -> dict[str, Any]:
    return {"holds": None, "state": None, "exact": None, "reason": reason}


def _path(folder: Path, sequence: int) -> Path:
    return folder / f"{sequence}.json"


def sequences_in(folder: Path) -> list[int]:
    """Of the files with states, ascending."""
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isascii() and path.stem.isdigit())


def forget_copies(core: StoreCore, run: RunRecord, sequences: Sequence[int] | None = None) -> None:
    """What a person deleted is not kept as a copy either: some commits, or by default the whole run, with that which
    had its name before."""
    folder = folder_of(core, run)
    begun = read_log(folder) if folder is not None and folder.is_dir() else None
    if folder is None or begun is None or begun.run["id"] != run.id:
        return
    with translated("the mirror of a session", folder):
        if sequences is None:
            for place in (folder.with_name(folder.name + FORMER), folder):
                shutil.rmtree(place, ignore_errors=True)
            flush_directory(folder.parent)
            return
        for sequence in sequences:
            _path(folder, sequence).unlink(missing_ok=True)
        flush_directory(folder)


# -- reading -------------------------------------------------------------------------------------------------------


class MirrorLog:
    """What `session.jsonl` says. `end` is the byte behind the last whole line; `skipped` counts damaged ones."""

    def __init__(self, run: Mapping[str, Any], cuts: dict[int, JournalRows], end: int, skipped: int) -> None:
        self.run, self.cuts, self.end, self.skipped = run, cuts, end, skipped


def read_log(folder: Path) -> MirrorLog | None:
    """None if there is none that says which run it is of."""
    try:
        data = (folder / LOG).read_bytes()
    except FileNotFoundError:
        return None
    run: Mapping[str, Any] | None = None
    cuts: dict[int, JournalRows] = {}
    end = skipped = 0
    for line in data.split(b"\n")[:-1]:
        end += len(line) + 1
        try:
            document = unsigned(line)
            if "run" in document:
                run = document["run"]
            elif "back" in document:
                cuts = {sequence: rows for sequence, rows in cuts.items() if sequence <= document["back"]}
            else:
                cuts[document["sequence"]] = rows_of(document)
        except (ValueError, KeyError, TypeError) as error:
            skipped += 1
            log.warning("a line of %s is damaged and is left out: %s", folder / LOG, error)
    return None if run is None else MirrorLog(run, cuts, end, skipped)


def read_file(folder: Path, sequence: int) -> dict[str, Any] | None:
    """One mirrored iteration; None, and a warning, if it is torn or damaged."""
    path = _path(folder, sequence)
    try:
        document = unsigned(path.read_bytes())
        rows_of(document)
        problem = "" if document["sequence"] == sequence else f"it is of commit {document['sequence']}"
    except (ValueError, KeyError, TypeError, StoreError) as error:
        document, problem = {}, str(error)
    if problem:
        log.warning("%s is torn or damaged and is left out: %s", path, problem)
        return None
    return document


def files_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Those that are whole, by sequence."""
    for sequence in sequences_in(folder):
        document = read_file(folder, sequence)
        if document is not None:
            yield document


def folders_in(root: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The mirrored runs below a place, or in it, and who they are."""
    places = [root, *sorted(place for place in root.iterdir() if place.is_dir())] if root.is_dir() else []
    for place in places:
        run = _run_of(place)
        if run is not None:
            yield place, run


def _run_of(place: Path) -> Mapping[str, Any] | None:
    begun = read_log(place)
    if begun is not None:
        return begun.run
    newest = next((document for s in reversed(sequences_in(place)) if (document := read_file(place, s))), None)
    return None if newest is None else newest["run"]
