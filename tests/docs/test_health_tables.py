"""The tables of the health page, and of the settings behind it, are those of the code."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

from waycairn.model.health import WEIGHTS
from waycairn.model.health_acts import WHY, HealthAct
from waycairn.model.measures import MEASURES
from waycairn.model.notification_settings import ChannelSettings
from waycairn.upkeep.prometheus import METRICS

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def rows(page, heading, number=0):
    """The cells of a table below a heading."""
    section = (REFERENCE / page).read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[number]
    return [tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]]


def test_the_weights_of_health():
    """Every check with its points, and no other."""
    expected = [(check, str(one.warning), str(one.critical), one.what) for check, one in WEIGHTS.items()]
    assert rows("health.md", "The score") == expected


def test_the_acts_of_issues():
    """Each with what it does."""
    assert [(act, why) for act, _, why in rows("health.md", "Acts")] == [(act.value, WHY[act]) for act in HealthAct]


def test_the_names_of_what_is_measured():
    assert rows("health.md", "What is measured") == [(one.name, one.unit, one.what) for one in MEASURES]


def test_the_metrics_of_prometheus():
    assert rows("health.md", "Prometheus") == [(one.name, one.type, one.help) for one in METRICS]


def test_what_a_channel_has():
    """Everything with its default."""
    expected = []
    for one in fields(ChannelSettings):
        default = "needed" if one.default is MISSING else str(one.default) if one.default not in ("", 0, ()) else ""
        expected.append((one.name, default))
    assert [(name, default) for name, _, default in rows("settings.md", "Channels")] == expected
