"""What can be set about a store, section by section. Plain values: where they came from is the business of `waycairn.settings`."""

from __future__ import annotations

from dataclasses import dataclass, field

from waycairn.model.audit_settings import AuditSettings
from waycairn.model.encryption_settings import EncryptionSettings
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.upkeep_settings import UpkeepSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field a section; each section is a frozen dataclass of its own with a default and a sentence for every field."""

    retention: RetentionSettings = field(default_factory=RetentionSettings)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
    encryption: EncryptionSettings = field(default_factory=EncryptionSettings)
    optimize: OptimizeSettings = field(default_factory=OptimizeSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
