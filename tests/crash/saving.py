"""Jobs that save values and states, and delete them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

import waycairn as wc
from crash.common import LARGE, STORE, Acks, Told, Workload, blob, check_pages, checkpoints, find, looking, save_pages
from waycairn.codec import files as files_read
from waycairn.files import Files

# -- plain values ----------------------------------------------------------------------------------------------------


def value(page: int) -> dict[str, Any]:
    return {"page": page, "data": blob(page) if page % 3 == 0 else "small"}


def save_values(store: wc.Store, told: Told) -> None:
    save_pages(store, told, "cursor", value, 7)


def check_values(store: wc.Store, acks: Acks) -> None:
    check_pages(store, acks, "cursor", value)


# -- checkpoints of a changing state ---------------------------------------------------------------------------------


def page_state(page: int) -> dict[str, Any]:
    return {"page": page, "blob": blob(page, 1000) + blob(page // 2, LARGE)}


def take_checkpoints(store: wc.Store, told: Told) -> None:
    with store.run("pages") as run:
        state = run.state({"page": 0, "blob": b""})
        while state["page"] < 6:
            state.update(page_state(state["page"] + 1))
            if run.checkpoint(force=True, metadata={"page": state["page"]}):
                told(f"page {state['page']}")


def check_checkpoints(store: wc.Store, acks: Acks) -> None:
    found = [
        (record.checkpoint.metadata["page"], store.load(record.id))
        for record in reversed(checkpoints(store, "pages", role="state"))
        if record.checkpoint.metadata
    ]
    assert found == [(page, page_state(page)) for page in range(1, len(found) + 1)], [page for page, _ in found]
    assert len(found) >= acks.get("page", 0), f"{acks} acknowledged, {len(found)} there"


# -- arrays as differences ------------------------------------------------------------------------------------------------


def weights(page: int) -> Any:
    """16-bit numbers of few high bytes and, from page to page, a few other low bits; in all as large as goes to a pack."""
    low = np.frombuffer(blob(0, 2 * LARGE), np.uint8)
    numbers = (low.astype("<u2") & 0x0FFF) | 0x3C00
    numbers[page::40] ^= 1
    return numbers


def save_differences(store: wc.Store, told: Told) -> None:
    done = store.latest("weights", {"page": 0})["page"]
    for page in range(done + 1, 8):
        store.save("weights", {"page": page, "weights": weights(page)}, compress="delta")
        told(f"page {page}")


def check_differences(store: wc.Store, acks: Acks) -> None:
    found = [store.load(record.id) for record in reversed(checkpoints(store, "weights"))]
    assert [one["page"] for one in found] == list(range(1, len(found) + 1))
    assert all(one["weights"].tobytes() == weights(one["page"]).tobytes() for one in found)
    assert len(found) >= acks.get("page", 0), f"{acks} acknowledged, {len(found)} there"
    assert store.core.catalog.count_homeless() == 0
    if len(found) > 1:
        sizes = [record.checkpoint.stored.new_bytes for record in reversed(checkpoints(store, "weights"))]
        assert sizes[1] < sizes[0] / 3, "the second is the difference to the first"


# -- files ------------------------------------------------------------------------------------------------------------


def page_files(page: int) -> dict[str, bytes]:
    return {"more/a.bin": blob(page, LARGE), "more/b.bin": blob(page // 2, LARGE), "page": b"%d" % page}


def save_files(store: wc.Store, told: Told) -> None:
    """As many bytes as this are read section by section here."""
    files_read._SMALL, files_read._SECTION = LARGE, LARGE // 2
    done = int(store.latest("files", {"page": b"0"})["page"])
    for page in range(done + 1, 5):
        with looking() as place:  # what is saved is not the job's to keep
            for name, data in page_files(page).items():
                Path(place, name).parent.mkdir(exist_ok=True)
                Path(place, name).write_bytes(data)
            store.save("files", Files(place))
        told(f"page {page}")


def check_files(store: wc.Store, acks: Acks) -> None:
    saved = list(reversed(checkpoints(store, "files")))
    assert [store.load(record.id) for record in saved] == [page_files(page) for page in range(1, len(saved) + 1)]
    assert len(saved) >= acks.get("page", 0), f"{acks} acknowledged, {len(saved)} there"
    if saved:
        with looking() as place:
            store.load(saved[-1].id, into=Files(Path(place, "again")))
            found = {name: Path(place, "again", name).read_bytes() for name in page_files(0)}
        assert found == page_files(len(saved))


# -- deleting --------------------------------------------------------------------------------------------------------


def forget_values(store: wc.Store, told: Told) -> None:
    while not store.latest("forgotten"):
        done = store.latest("old", {"page": 0})["page"]
        for page in range(done + 1, 5):
            store.save("old", value(page), tags=[f"page {page}"])
        for record in store.checkpoints("old", tag="page 2"):
            store.pin(record.id)
        told("pinned 1")
        store.clear("old")
        told("cleared 1")
        store.save("forgotten", True)
        told("forgotten 1")


def check_forgotten(store: wc.Store, acks: Acks) -> None:
    found = {record.sequence: (record.pinned, store.load(record.id)) for record in checkpoints(store, "old")}
    for _, loaded in found.values():
        assert loaded == value(loaded["page"])
    pinned = [loaded["page"] for is_pinned, loaded in found.values() if is_pinned]
    if acks.get("pinned"):
        assert pinned == [2], "a pinned checkpoint is never deleted"
    if acks.get("forgotten"):
        assert len(found) == 1, "what was deleted does not come back"


# -- replacing and sweeping ------------------------------------------------------------------------------------------

LAST = 5


def swept(page: int) -> dict[str, Any]:
    """Some of it stays, some comes back when it has been swept."""
    return {"page": page, "same": blob(7), "back": blob(10 + page % 3), "small": blob(page, 40_000)}


def replace_and_sweep(store: wc.Store, told: Told) -> None:
    """Nobody else works there, so that what dead saves left goes at once."""
    with store.run("sweeping", pace="every item") as run:
        state = run.state({"page": 0, "data": b""})
        for page in run.each(range(1, LAST + 1)):
            told(f"item {page - 1}")
            assert run.step(f"look {page % 2}", blob, page % 2, returns=bytes) == blob(page % 2)
            store.save("swept", swept(page), keep=2)
            told(f"page {page}")
            state.update(page=page, data=blob(page // 2))
            store.sweep(grace=0)
    store.sweep(grace=0)
    told("swept 1")


def check_swept(store: wc.Store, acks: Acks) -> None:
    values = [store.load(record.id) for record in reversed(checkpoints(store, "swept"))]
    assert values in ([], *([swept(page) for page in {max(1, last - 1), last}] for last in range(1, LAST + 1))) or (
        # the item ran again: its page is there twice
        values == [values[-1]] * 2 == [swept(values[-1]["page"])] * 2
    )
    assert (values[-1]["page"] if values else 0) >= acks.get("page", 0), f"{acks} acknowledged"
    run = find(store, "sweeping")
    if run is None:
        return
    assert store.core.catalog.loops(run.id).get("items", 0) >= acks.get("item", 0)
    for step in store.core.catalog.list_steps(run.id):
        assert store.core.load(step.step.result) == blob(int(step.step.name[-1]))
    newest = store.core.catalog.latest_checkpoint(run.id, role="state")
    if newest is not None and (page := store.load(newest.id)["page"]):
        assert store.load(newest.id)["data"] == blob(page // 2)
    if acks.get("swept"):
        known = {name for name, fill in store.core.catalog.pack_fill().items() if fill.blocks}
        there = {path.name for path in Path(STORE, "packs").glob("*/*")}
        assert there == known, "after a sweep nothing is left that nobody needs"


def save_beside_sweeps(store: wc.Store, told: Told) -> None:
    """One thread replaces what another one sweeps all the time."""
    saver = threading.Thread(target=_replace, args=(store, told, errors := []))
    saver.start()
    try:
        while saver.is_alive():
            store.sweep()
    finally:
        saver.join()
    if errors:
        raise errors[0]
    store.sweep(grace=0)
    told("swept 1")


def _replace(store: wc.Store, told: Told, errors: list[BaseException]) -> None:
    try:
        done = store.latest("beside", {"page": 0})["page"]
        for page in range(done + 1, 9):
            store.save("beside", beside(page), keep=1)
            told(f"page {page}")
    except BaseException as error:
        errors.append(error)


def beside(page: int) -> dict[str, Any]:
    return {"page": page, "back": blob(page % 2), "again": blob(page // 4, 30_000)}


def check_beside(store: wc.Store, acks: Acks) -> None:
    values = [store.load(record.id) for record in checkpoints(store, "beside")]
    assert values in ([], *([beside(page)] for page in range(1, 9)))
    assert (values[0]["page"] if values else 0) >= acks.get("page", 0), f"{acks} acknowledged"


WORKLOADS = {
    "files": Workload(save_files, check_files),
    "sweep": Workload(replace_and_sweep, check_swept),
    "beside": Workload(save_beside_sweeps, check_beside),
    "values": Workload(save_values, check_values),
    "pages": Workload(take_checkpoints, check_checkpoints),
    "differences": Workload(save_differences, check_differences),
    "forget": Workload(forget_values, check_forgotten),
}
