"""The settings of the page on looking after a store are right, and mean what is written beside them."""

import re
from pathlib import Path

from waycairn.settings import load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "look-after-a-store.md"


def test_its_settings_are_right(tmp_path):
    """As `waycairn config validate FILE` checks them, and nothing in them is a default that need not be said."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    file = tmp_path / "waycairn.yaml"
    file.write_text(text, "utf-8")
    settings = load(file=file, environment={}).settings
    assert settings.encryption.key_file == str(tmp_path / "keys" / "jobs.key")
    assert settings.optimize.archive == "/mnt/cold"
    assert settings.optimize.max_bytes == 50 * 10**9
    assert settings.health.disk_warning == 20 * 10**9
    assert settings.retention.read().max_size == 200 * 10**9
    assert settings.upkeep.interval in {"1h", 3600.0}
    assert settings.notifications.throttle == 6 * 3600
    assert [(one.name, one.minimum) for one in settings.notifications.channels] == [
        ("ops", "warning"),
        ("oncall", "critical"),
    ]
