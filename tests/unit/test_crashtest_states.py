"""What a power cut may leave, on tapes written by hand: each model forgets what it may, and nothing else."""

from __future__ import annotations

from waycairn.crashtest.power.choices import Model, boundaries
from waycairn.crashtest.power.disk import Disk
from waycairn.crashtest.power.oplog import (
    ROOT,
    Ack,
    AnyOp,
    Attributes,
    FlushDirectory,
    FlushFile,
    Make,
    Move,
    Settled,
    Truncate,
    Write,
)
from waycairn.crashtest.power.states import begin_of, power_loss_states

FILE, OTHER = 2, 3


def seen(tape: list[AnyOp], model: Model, folder, **options) -> set[tuple[tuple[str, bytes], ...]]:
    """All disks that a cut can leave: names and bytes."""
    disk = Disk(tape, folder / "disk")
    found = set()
    for state in power_loss_states(tape, model, **options):
        root = disk.show(state)
        found.add(tuple(sorted((path.name, path.read_bytes()) for path in root.rglob("*") if path.is_file())))
    return found


def test_a_rename_before_the_flush_can_leave_an_empty_file(tmp_path):
    """In both models; with the flush the content is there wherever the new name is."""
    careless = [Make(ROOT, "new", FILE), Write(FILE, 0, b"text"), Move(ROOT, "new", ROOT, "file", FILE)]
    careful = [*careless[:2], FlushFile(FILE), careless[2]]
    for model in Model:
        assert (("file", b""),) in seen(careless, model, tmp_path)
        assert (("file", b""),) not in seen(careful, model, tmp_path)
        assert (("file", b"text"),) in seen(careful, model, tmp_path)


def test_only_posix_forgets_names_out_of_order(tmp_path):
    """ext4 journals names in order: the second is not there without the first."""
    tape = [Make(ROOT, "first", FILE), Make(ROOT, "second", OTHER)]
    assert (("second", b""),) in seen(tape, Model.POSIX, tmp_path)
    assert seen(tape, Model.EXT4, tmp_path) == {(), (("first", b""),), (("first", b""), ("second", b""))}


def test_what_was_flushed_stays(tmp_path):
    """The content by the file's flush, the name by the directory's."""
    tape = [Make(ROOT, "file", FILE), Write(FILE, 0, b"text"), FlushFile(FILE), FlushDirectory(ROOT), Ack("safe")]
    last = [*tape, Truncate(FILE, 0)]
    assert seen(last, Model.POSIX, tmp_path, begin=len(tape)) == {(("file", b"text"),), (("file", b""),)}


def test_a_write_is_torn_at_every_sector_of_the_file(tmp_path):
    """Sectors count from the beginning of the file, not of the write; later ones may be there without earlier ones."""
    write = Write(FILE, 100, b"x" * 1500)
    assert boundaries(write) == [412, 924, 1436]
    tape = [Make(ROOT, "file", FILE), FlushDirectory(ROOT), write]
    found = {content.count(b"x") for ((_, content),) in seen(tape, Model.POSIX, tmp_path, begin=3)}
    assert {0, 412, 924, 1436, 1500} < found
    assert {1500 - 924} < found


def test_every_seed_has_states_of_its_own(tmp_path):
    """And the same ones each time."""
    tape: list[AnyOp] = [Make(ROOT, "file", FILE), FlushDirectory(ROOT)]
    tape += [Write(FILE, 600 * number, bytes([number + 1]) * 600) for number in range(20)]
    first, second = (seen(tape, Model.POSIX, tmp_path, seed=seed) for seed in (1, 2))
    assert second - first
    assert first == seen(tape, Model.POSIX, tmp_path, seed=1)
    assert 0 < len(power_loss_states(tape, Model.POSIX, share=0.2)) < len(power_loss_states(tape, Model.POSIX)) / 2


def test_what_lay_there_before_the_mark_is_in_every_state(tmp_path):
    """Nobody flushed it; and a change of permissions after it is lost like a write."""
    tape = [Make(ROOT, "file", FILE), Write(FILE, 0, b"text"), Settled(), Attributes(FILE, mode=0o600), Ack("safe")]
    assert begin_of(tape) == 3
    assert seen(tape, Model.POSIX, tmp_path) == {(("file", b"text"),)}
    disk = Disk(tape, tmp_path / "disk")
    modes = {(disk.show(state) / "file").stat().st_mode & 0o777 for state in power_loss_states(tape, Model.POSIX)}
    assert modes == {0o600, 0o644}


def test_showing_a_state_undoes_what_somebody_did(tmp_path):
    """Also what did not change a size: a state is shown as it was, however the one before was used."""
    tape = [Make(ROOT, "file", FILE), Write(FILE, 0, b"text"), Make(ROOT, "folder", OTHER, directory=True)]
    state = next(
        state for state in power_loss_states(tape, Model.POSIX) if state.at == 3 and state.lost.startswith("nothing")
    )
    disk = Disk(tape, tmp_path / "disk")
    root = disk.show(state)
    (root / "file").write_bytes(b"TEXT")
    (root / "folder/more").write_text("more")
    (root / "extra").symlink_to("folder")
    disk.show(state)
    assert (root / "file").read_bytes() == b"text"
    assert sorted(path.name for path in root.rglob("*")) == ["file", "folder"]
