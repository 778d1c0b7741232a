"""What the pages say about retention and upkeep is what the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from waycairn.model.policies import Policies, Subject
from waycairn.model.upkeep_settings import UpkeepSettings

DOCS = Path(__file__).parents[2] / "docs"


def test_the_examples_of_the_page_are_understood():
    """They mean what is written beside them."""
    page = (DOCS / "how-to/keep-and-sweep.md").read_text()
    retention, upkeep = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    policies = Policies.of(retention["retention"])
    assert policies.max_size == 50 * 10**9
    nightly = policies.in_force(Subject("processing_state", None, "nightly-1", None))
    assert dict(nightly.keep.value.calendar) == {"daily": 7, "weekly": 4, "monthly": 12}
    assert policies.in_force(Subject("model_state", None, "resnet-1", None)).max_age.value == 30 * 86400
    assert policies.in_force(Subject("processing_state", "download", "any", None)).keep.value.keep.last == 1
    assert UpkeepSettings(**upkeep["upkeep"]).is_quiet(12 * 3600.0)
