"""Output files whose length is part of the cut: after a crash a file is exactly as long as what was committed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from waycairn.errors import Damaged, OwnershipLost, WriteFailed
from waycairn.model.forking import beside
from waycairn.model.records import OutputLength
from waycairn.world.crashpoints import crashpoint
from waycairn.world.files import flush, flush_directory, translated, write_all_at

if TYPE_CHECKING:
    from waycairn.work.cut import Cutter

_BUFFER = 1 << 16


class _Written:
    """A file that is written from a buffer, each byte at its place: what failed half-way can be written again."""

    def __init__(self, path: str, encoding: str) -> None:
        self.path = path
        self._encoding = encoding
        self._buffer = bytearray()
        self._handle = -1
        self._written = 0
        """Bytes of the file that were written; the buffer follows."""
        self._lock = threading.RLock()  # a cut may be written by a thread of its own while the job goes on

    def write(self, text: str | bytes) -> int:
        """Add text (encoded) or bytes as they are; returns the number of bytes. If it raises, they were not added."""
        data = text.encode(self._encoding) if isinstance(text, str) else text
        with self._lock:
            if len(self._buffer) >= _BUFFER:
                self._drain()
            self._buffer += data
        return len(data)

    def _drain(self) -> None:
        if not self._buffer:
            return
        crashpoint("output.write")
        try:
            with translated("the output file", self.path):
                write_all_at(self._handle, self._buffer, self._written)
        except BaseException:
            with suppress(OSError):  # half of it may be there, and the file may be left like this
                os.ftruncate(self._handle, self._written)
            raise
        self._written += len(self._buffer)
        self._buffer.clear()


class Output(_Written):
    """A file that grows by what items write to it. One thread writes: the owner's.

    `write` buffers. At each cut the bytes are flushed to the medium and the length is committed in the same
    transaction as the items; when the run is entered again the file is cut back to that length.
    """

    def __init__(
        self,
        path: str,
        committed: int | None,
        *,
        encoding: str,
        is_lost: Callable[[], bool],
        is_displaced: Callable[[], bool],
        has_rival: bool,
    ) -> None:
        super().__init__(path, encoding)
        self._is_lost = is_lost
        self._is_displaced = is_displaced
        self._is_doubtful = False
        """A flush failed. Linux then drops what it could not write, and says of the next flush that all is well."""
        with translated("the output file", path):
            self._handle = self._open(Path(path), committed, has_rival=has_rival)
        self._written = self.length = self.committed

    def _open(self, path: Path, committed: int | None, *, has_rival: bool) -> int:
        """Open at the committed length; what lies behind it was never committed and goes."""
        existed = path.exists()
        size = path.stat().st_size if existed else 0
        if committed is not None and size < committed:
            raise Damaged(
                f"the output file {path} has {size} bytes, but {committed} were committed: it was changed or removed "
                "from outside. Nothing was changed. Put the file back, or start anew with fresh=True or another key.",
                path=str(path),
            )
        keep = size if committed is None else committed
        if has_rival and existed:
            self._renew(Path(os.path.realpath(path)), keep)
        crashpoint("output.open")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self.committed = keep
            # Open first, then look, then cut: the file may be that of an heir who came before this line, and who comes
            # behind it sees a rival and makes a file of its own.
            _refuse_if_lost(self._is_displaced, self.path)
            crashpoint("output.truncate")
            os.ftruncate(handle, keep)
            crashpoint("output.directory")
            # Also of a file that was there: whoever made it may have been killed before it did this.
            flush_directory(path.absolute().parent)
        except BaseException:
            os.close(handle)
            raise
        crashpoint("output.opened")
        return handle

    def _renew(self, path: Path, length: int) -> None:
        """The first `length` bytes as a file of our own under the same name. A displaced owner that wakes up between its
        look and its write then writes to a file without a name."""
        copy = path.with_name(f".{path.name}.part")
        copy.unlink(missing_ok=True)
        crashpoint("output.renew.copy")
        with path.open("rb") as old, copy.open("xb") as new:
            left = length
            while left and (piece := old.read(min(left, _BUFFER))):
                new.write(piece)
                left -= len(piece)
            new.flush()
            flush(new.fileno())
        shutil.copymode(path, copy)
        crashpoint("output.renew")
        _refuse_if_lost(self._is_displaced, self.path)
        copy.replace(path)
        crashpoint("output.renew.directory")
        flush_directory(path.parent)
        crashpoint("output.renewed")

    def write(self, text: str | bytes) -> int:
        """Add text (encoded) or bytes as they are; returns the number of bytes. Durable at the next cut. If it raises,
        they were not added."""
        count = super().write(text)
        self.length += count
        return count

    def _drain(self) -> None:
        with self._lock:
            if self._buffer:
                _refuse_if_lost(self._is_lost, self.path)
                super()._drain()

    def flush_to(self, length: int) -> None:
        """Make the first `length` bytes durable; called at a cut, before the transaction."""
        if length == self.committed:
            return
        self._refuse_if_doubtful()
        self._drain()
        crashpoint("output.flush")
        try:
            with translated("the output file", self.path):
                flush(self._handle)
        except BaseException:
            self._is_doubtful = True
            raise
        crashpoint("output.flushed")

    def _refuse_if_doubtful(self) -> None:
        if self._is_doubtful:
            raise WriteFailed(
                f"the device refused to flush {self.path} before, so nobody knows what it has of the file. What was "
                "committed is safe; nothing was committed now. Check the disk (dmesg), then run the job again: it cuts "
                "the file back to what was committed and writes the rest anew.",
                path=self.path,
            )

    def note_committed(self, length: int) -> None:
        self.committed = length

    def cut_back(self, length: int) -> None:
        """Drop what was written behind `length`. Not where a newer owner writes: the bytes there are its."""
        if self._is_lost():
            return
        crashpoint("output.cut")
        with self._lock:
            self._cut_back(length)
        crashpoint("output.cut.done")

    def _cut_back(self, length: int) -> None:
        del self._buffer[max(length - self._written, 0) :]
        if length < self._written:
            with translated("the output file", self.path):
                os.ftruncate(self._handle, length)
            self._written = length
        self.length = length

    def close(self) -> None:
        """Close without committing; what was not committed is cut off when the run is entered again."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)

    def abandon(self) -> None:
        """In a forked child: let go of the descriptor without writing the parent's buffer."""
        self._buffer.clear()
        self.close()


class WholeOutput(_Written):
    """A file that is written anew in each entry and replaces the former one, whole, when the run is left normally.

    Its draft is named after the epoch, and each entry removes the drafts of those before: a displaced owner that wakes
    up has nothing to publish.
    """

    def __init__(self, path: str, epoch: int, *, encoding: str, is_displaced: Callable[[], bool]) -> None:
        super().__init__(path, encoding)
        self._is_displaced = is_displaced
        self._target = Path(path)
        with translated("the output file", path):
            crashpoint("output.whole.create")
            _refuse_if_lost(is_displaced, path)
            for earlier in range(1, epoch + 1):
                self._draft = self._target.with_name(f".{self._target.name}.{earlier}.part")
                self._draft.unlink(missing_ok=True)
            self._handle = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)

    def publish(self) -> None:
        """Flush, rename over the former file, flush the directory: after a crash it is the old one or the new one."""
        self._drain()
        with translated("the output file", self.path):
            crashpoint("output.whole.flush")
            flush(self._handle)
            os.close(self._handle)
            self._handle = -1
            _refuse_if_lost(self._is_displaced, self.path)
            crashpoint("output.whole.rename")
            try:
                self._draft.replace(self._target)
            except FileNotFoundError:
                _refuse_if_lost(self._is_displaced, self.path)  # an heir came in this moment and removed the draft
                raise
            crashpoint("output.whole.directory")
            flush_directory(self._target.absolute().parent)
        crashpoint("output.whole.done")

    def close(self) -> None:
        """Let go of what was not published."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)
            with suppress(OSError):  # ours alone, it is named after our epoch; the next entry removes it
                self._draft.unlink(missing_ok=True)

    def abandon(self) -> None:
        """In a forked child: let go of the descriptor only; the file is the parent's."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _refuse_if_lost(is_lost: Callable[[], bool], path: str) -> None:
    """A file has no fence like the catalog's: look before each write. Raises OwnershipLost."""
    if is_lost():
        raise OwnershipLost(
            f"the run that writes {path} was taken over by another process. This one did not touch the file and must "
            "stop working on the run.",
            path=path,
        )


class OutputFiles:
    """The output files of one run."""

    def __init__(self, cutter: Cutter, *, has_rival: bool) -> None:
        self._cutter = cutter
        self._has_rival = has_rival
        self._whole: dict[str, WholeOutput] = {}

    def open(self, path: str | os.PathLike[str], *, append: bool, encoding: str) -> Output | WholeOutput:
        name = os.path.normpath(os.fspath(path))
        if self._cutter.mark:
            name = beside(name, self._cutter.mark)
        grown = self._cutter.outputs
        if name in grown or name in self._whole:
            raise ValueError(f"the output {name} is opened twice in this run. Nothing was changed. Open it once.")
        if not append:
            self._whole[name] = WholeOutput(
                name, self._cutter.epoch, encoding=encoding, is_displaced=self._is_displaced
            )
            return self._whole[name]
        known = self._cutter.store.catalog.outputs(self._cutter.run).get(name)
        length = known.length if known else None
        output = Output(
            name,
            length,
            encoding=encoding,
            is_lost=self._is_lost,
            is_displaced=self._is_displaced,
            has_rival=self._has_rival,
        )
        if known is None:
            # Where it begins, before anything is written behind: else a crash before the first cut could not tell
            # what was there from what this run wrote.
            try:
                self._cutter.commit_beside(outputs=[OutputLength(path=name, length=output.length)])
            except BaseException:
                output.close()
                raise
        grown[name] = output
        return output

    def _is_lost(self) -> bool:
        return self._cutter.is_lost()

    def _is_displaced(self) -> bool:
        """Not only a hint: what was published cannot be taken back. A lease knows of a newer owner late."""
        cutter = self._cutter
        if cutter.is_lost():
            return True
        found = cutter.store.catalog.get_run(cutter.run)
        return found is None or found.epoch != cutter.epoch

    def publish(self) -> None:
        for output in self._whole.values():
            output.publish()

    def close(self) -> None:
        for whole in self._whole.values():
            whole.close()
        for grown in self._cutter.outputs.values():
            grown.close()
