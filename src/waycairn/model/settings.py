"""What can be set about a store, section by section. Plain values: where they came from is the business of `waycairn.settings`.

A section is a frozen dataclass in a file of its own, `model/<section>_settings.py`: its docstring says what it is about,
every field has a default and a docstring, and `__post_init__` raises a ValueError that begins with the name of the field
for what it cannot mean. Lengths of time, sizes and shares are annotated with Duration, Size and Share of `model.units`,
secrets carry `metadata=SECRET`, paths that files may give relative to themselves `metadata=PATH`. Then one line here is all
that it takes to be read from files and the environment, shown, documented and checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from waycairn.model.audit_settings import AuditSettings
from waycairn.model.backup_settings import BackupSettings
from waycairn.model.batch_settings import BatchSettings
from waycairn.model.encryption_settings import EncryptionSettings
from waycairn.model.follow_settings import FollowSettings
from waycairn.model.health_settings import HealthSettings
from waycairn.model.logging_settings import LoggingSettings
from waycairn.model.notification_settings import NotificationSettings
from waycairn.model.optimize_settings import OptimizeSettings
from waycairn.model.retention_settings import RetentionSettings
from waycairn.model.saving_settings import SavingSettings
from waycairn.model.server_settings import ServerSettings
from waycairn.model.session_settings import SessionSettings
from waycairn.model.store_settings import StoreSettings
from waycairn.model.training_settings import TrainingSettings
from waycairn.model.upkeep_settings import UpkeepSettings
from waycairn.model.verify_settings import VerifySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One field a section; each section is a frozen dataclass of its own with a default and a sentence for every field."""

    store: StoreSettings = field(default_factory=StoreSettings)
    saving: SavingSettings = field(default_factory=SavingSettings)
    batches: BatchSettings = field(default_factory=BatchSettings)
    follow: FollowSettings = field(default_factory=FollowSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    encryption: EncryptionSettings = field(default_factory=EncryptionSettings)
    optimize: OptimizeSettings = field(default_factory=OptimizeSettings)
    verify: VerifySettings = field(default_factory=VerifySettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    backups: BackupSettings = field(default_factory=BackupSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    notifications: NotificationSettings = field(default_factory=NotificationSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    upkeep: UpkeepSettings = field(default_factory=UpkeepSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
