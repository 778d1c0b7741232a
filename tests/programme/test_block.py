"""Power cuts on a real ext4: no image is bad, and the oldest bug of all is found."""

from __future__ import annotations

import pytest

from programme import block
from programme.tally import Budget

pytestmark = pytest.mark.skipif(block.missing() is not None, reason=f"no ext4 on a recording disk: {block.missing()}")

IMAGES = 120
WORKLOADS = ("values", "fold", "pages", "batch", "forget")


def test_no_power_cut_on_ext4_loses_what_was_acknowledged(tmp_path):
    """Some images of each of some workloads; `make torture` takes all."""
    tally = block.run(Budget(120, most=IMAGES), tmp_path, workloads=WORKLOADS)
    print(tally)
    assert tally.passed, "\n".join(tally.bad)
    assert tally.delivered["ext4 images"] >= IMAGES
    assert tally.delivered["resumed"] >= 11


def test_a_rename_without_a_flush_is_found(tmp_path):
    """The name of a pack is durable before its content is."""
    tally = block.run(Budget(120, most=200), tmp_path, bug="no-flush-of-files", workloads=("pages",))
    print(tally)
    assert tally.bad, "the bug was not found"
    print(tally.bad[0])
