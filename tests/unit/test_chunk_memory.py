"""Fresh memory: its pages are made by another thread while it is filled."""

import platform
import re
import time
from pathlib import Path

import pytest

import waycairn as wc
from waycairn.chunks.memory import allocate, touched_meanwhile

MIB = 1 << 20
POPULATES = tuple(map(int, re.findall(r"\d+", platform.release())[:2])) >= (5, 14)


def resident() -> int:
    return int(re.search(r"VmRSS:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


@pytest.mark.skipif(not POPULATES, reason="MADV_POPULATE_WRITE came with Linux 5.14")
def test_pages_are_there_before_somebody_fills_them():
    """And what was in them stays."""
    memory = allocate(64 * MIB)
    memory[5 * MIB : 5 * MIB + 4] = b"kept"
    before = resident()
    with touched_meanwhile([allocate(64 * MIB), memory]):
        until = time.monotonic() + 20
        while (made := resident() - before) < 120 * MIB and time.monotonic() < until:
            time.sleep(0.01)
    assert made >= 120 * MIB
    assert memory[5 * MIB : 5 * MIB + 4] == b"kept"
    assert memory[5 * MIB + 4 : 5 * MIB + 8] == bytes(4)
    memory.release()  # nobody else holds it


def test_an_error_ends_it():
    """At once, and nothing is held."""
    memory = allocate(256 * MIB)
    with pytest.raises(ZeroDivisionError), touched_meanwhile([memory]):
        print(1 / 0)
    memory.release()


def test_little_is_left_alone(monkeypatch):
    """A thread costs more than the pages of a small value."""
    monkeypatch.setattr("threading.Thread.start", None)
    with touched_meanwhile([allocate(MIB)]):
        pass


def test_a_large_value_is_loaded_as_it_was(tmp_path):
    """Whoever makes its pages leaves alone what is written there meanwhile."""
    value = {name: b"".join(b"%s of %d\n" % (name.encode(), number) for number in range(1_000_000)) for name in "ab"}
    with wc.open(tmp_path / "store") as store:
        store.save("large", value)
        for _ in range(3):
            assert store.latest("large") == value
