"""What the pages say about retention and upkeep is what the code knows."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from waycairn.model.policies import Policies, Subject
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.upkeep_settings import UpkeepSettings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("section", "settings"), [("retention", RetentionSettings), ("upkeep", UpkeepSettings)])
def test_every_setting_is_in_the_reference(section, settings):
    """With its default, in the order of the code."""
    rows = re.findall(
        rf"^\| `{section}\.(\w+)` \|.*\| (.*) \|$", (DOCS / "reference/settings.md").read_text(), re.MULTILINE
    )
    fields = dataclasses.fields(settings)
    assert [name for name, _ in rows] == [field.name for field in fields]
    for (name, told), field in zip(rows, fields, strict=True):
        empty = field.default is None or field.default == ()
        shown = str(field.default).lower() if isinstance(field.default, bool) else field.default
        assert told.startswith(("no", "none")) if empty else f"`{shown}`" in told, name


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
