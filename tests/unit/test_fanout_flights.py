"""The list of running items, as a process that died or a disk that rots may leave it."""

import os
import time

import pytest

from waycairn.fanout import FlightLog

ITEM, OTHER = b"i" * 16, b"o" * 16


@pytest.fixture
def path(tmp_path):
    """As a process with two workers left it that died while one of them ran an item."""
    path = tmp_path / "flights"
    FlightLog(path, 2).begin(1, ITEM)
    return path


def test_what_ran_is_suspect(path):
    """Once more at each death; and nothing after a close."""
    log = FlightLog(path, 2)
    assert log.suspects == {ITEM: 1}
    log.begin(0, OTHER)
    assert FlightLog(path, 2).suspects == {ITEM: 1, OTHER: 1}
    log.close()
    assert FlightLog(path, 2).suspects == {}


@pytest.mark.parametrize("byte", range(8, 32))
def test_a_damaged_head_costs_no_time(path, byte):
    """A count of slots that became 4 billion kept the next owner busy for minutes."""
    content = bytearray(path.read_bytes())
    content[byte] ^= 0x80
    path.write_bytes(content)
    began = time.process_time()
    assert FlightLog(path, 2).suspects in ({}, {ITEM: 1})
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("length", [0, 5, 39, 40, 50, 71])
def test_a_torn_file_is_no_suspicion(path, length):
    """As a power cut may leave it."""
    os.truncate(path, length)
    assert FlightLog(path, 2).suspects == {}
