"""What can be set about a store, section by section. Plain values: where they came from is the business of `waycairn.settings`."""

from __future__ import annotations

from dataclasses import dataclass, field

from waycairn.model.health_settings import HealthSettings
from waycairn.model.notification_settings import NotificationSettings
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.upkeep_settings import UpkeepSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field a section; each section is a frozen dataclass of its own with a default and a sentence for every field."""

    health: HealthSettings = field(default_factory=HealthSettings)
    notifications: NotificationSettings = field(default_factory=NotificationSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
