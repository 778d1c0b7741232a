"""A whole store, encrypted: what lies beside the catalog and the packs, and what a plain store pays."""

import subprocess
import sys
import threading

import pytest

import waycairn as wc
from waycairn.codec.keys import canonical, key_digest
from waycairn.model.keys import DataKeys
from waycairn.wiring import open_core

KEYS = DataKeys(1, {1: bytes(range(32))})


@pytest.mark.parametrize("keys", [None, KEYS], ids=["plain", "encrypted"])
def test_the_list_of_running_items_tells_no_key(tmp_path, keys):
    """A hash that anybody can make of a key tells whether an item of that key runs: in an encrypted store it is keyed."""
    seen = []

    def look(item):
        seen.extend(path.read_bytes() for path in (tmp_path / "flights").iterdir())
        return item

    with wc.Store(open_core(tmp_path, keys=keys)) as store, store.run("job", progress="off") as run:
        run.map(look, ["a.jpg"], key=str, workers=1).drain()
    (flights,) = seen
    assert (key_digest(canonical("a.jpg")) in flights) == (keys is None)


def test_a_plain_store_loads_nothing_of_it(tmp_path):
    """Importing the ciphers takes longer than opening a store."""
    code = (
        "import sys, waycairn as wc\n"
        f"store = wc.open({str(tmp_path / 'store')!r})\n"
        "store.save('a', {'page': 1})\n"
        "assert store.latest('a') == {'page': 1}\n"
        "print([name for name in sys.modules if name.startswith(('cryptography', 'waycairn.catalog.sealed_session'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_acts_on_history_and_upkeep_open_what_they_move(tmp_path):
    """What is copied into another run is sealed for that one; a page that is written anew is sealed anew."""
    with wc.Store(open_core(tmp_path, keys=KEYS)) as store:
        with store.run("job", tags=["x"], pace="every item", progress="off") as run:
            state = run.state({"page": 0, "data": b""})
            for page in run.each(range(4)):
                state.update(page=page, data=bytes([page]) * 200_000)
                run.step(f"step {page}", str, page, returns=str)
        newest = next(iter(store.checkpoints("job")))
        state = store.load(newest.id)
        fork = store.fork("job", newest.id, "fork")
        assert store.load(next(iter(store.checkpoints(fork.id))).id) == state
        assert store.core.catalog.list_steps(fork.id) == [
            one for one in store.core.catalog.list_steps(newest.run) if one.sequence <= newest.sequence
        ]
        store.rewind("job", newest.id)
        store.sweep(grace=0)
        store.optimize()
        assert store.load(newest.id) == state == {"page": 3, "data": b"\3" * 200_000}
        assert not store.verify(newest.id).broken


def test_a_passphrase_becomes_a_key_while_the_store_is_opened(tmp_path, monkeypatch):
    """Once, beside the caller; and where nothing could be foreseen, or was foreseen wrongly, as ever."""
    from waycairn.catalog import foresight
    from waycairn.crypto import wrapping

    wc.open(tmp_path, passphrase="right").close()
    makers = []
    make = wrapping.wrapping_key

    def watched(*arguments):
        makers.append(threading.current_thread().name)
        return make(*arguments)

    monkeypatch.setattr(wrapping, "wrapping_key", watched)
    wc.open(tmp_path, passphrase="right").close()
    assert makers == ["waycairn-key"]
    with pytest.raises(wc.errors.KeyWrong):
        wc.open(tmp_path, passphrase="wrong")

    foreseen = foresight.parameters_of_passphrases(tmp_path / "catalog.db")
    other = [{**one, "salt": "00" * 16} for one in foreseen]
    assert other
    for found in (lambda _: other, lambda _: 1 / 0):
        makers.clear()
        monkeypatch.setattr(foresight, "parameters_of_passphrases", found)
        wc.open(tmp_path, passphrase="right").close()
        assert makers[-1] == threading.current_thread().name
