"""From facts to issues: every threshold of `HealthSettings` is compared here and nowhere else. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from waycairn.model.health import Issue, Latency, Severity
from waycairn.model.health_acts import HealthAct
from waycairn.model.health_settings import HealthSettings

_NAMED = 5
"""Runs that are named in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A run that needs somebody, or a stream that waits."""

    name: str
    id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found. Times in seconds; None: not known, or there is no such thing here. "Lately" is the last 24 hours."""

    acts: Mapping[str, Latency] = field(default_factory=dict)
    """Lately, by act."""
    takeovers: int = 0
    forced_takeovers: int = 0
    late_saves: int = 0
    skipped_saves: int = 0
    lost_ownerships: int = 0
    outages: int = 0
    """Of sinks of streams, lately."""
    damaged: int = 0
    stranded: Sequence[Waiting] = ()
    """Unfinished runs of which no checkpoint is intact, and some are damaged."""
    disk_free: int | None = None
    disk_total: int | None = None
    store_bytes: int | None = None
    growth_a_day: float | None = None
    days_left: float | None = None
    orphans: Sequence[Waiting] = ()
    overdue: Sequence[Waiting] = ()
    away: Sequence[Waiting] = ()
    """Streams whose database cannot be reached."""
    damaged_backups: Sequence[Waiting] = ()
    """Of sources that were deleted."""
    cut_off_deletes: Sequence[Waiting] = ()
    leaving_backups: Sequence[Waiting] = ()
    """They expire within a day, and their sources were deleted."""
    store_age: float = 0.0
    checkpoints: int = 0
    verified_age: float | None = None
    """None: never."""
    swept_age: float | None = None
    dead_bytes: int = 0
    pack_bytes: int = 0
    leftovers: int = 0
    leftover_bytes: int = 0
    log_bytes: int | None = None
    is_encrypted: bool | None = None
    is_measured: bool = True

    @property
    def fragmentation(self) -> float:
        return self.dead_bytes / self.pack_bytes if self.pack_bytes else 0.0


def issues_of(facts: Facts, settings: HealthSettings) -> list[Issue]:
    """Everything that is the matter."""
    return [issue for rule in _RULES for issue in rule(facts, settings)]


# -- what is in the store -----------------------------------------------------------------------------------------


def _damage(facts: Facts, _: HealthSettings) -> Iterator[Issue]:
    if not facts.damaged:
        return
    stranded = f"; nothing intact is left of {_names(facts.stranded)}" if facts.stranded else ""
    yield Issue(
        check="damage",
        severity="critical" if facts.stranded else "warning",
        what=f"{_count(facts.damaged, 'checkpoint')} marked as damaged{stranded}",
        means="they are never restored from; runs go on from the newest intact one, or anew where there is none",
        do="waycairn repair mends what can be mended; look at the disk; waycairn checkpoints --status damaged says why",
        act=HealthAct.REPAIR,
        facts={"damaged": facts.damaged, "stranded": [one.id for one in facts.stranded]},
    )


def _verification(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    age = facts.store_age if facts.verified_age is None else facts.verified_age
    severity = _over(age, settings.verify_warning, settings.verify_critical)
    if severity and facts.checkpoints:
        never = "never verified" if facts.verified_age is None else f"verified last {_days(age)} ago"
        yield Issue(
            check="verification",
            severity=severity,
            what=f"{never}, and the store is {_days(facts.store_age)} old",
            means="what a disk damages is found when it is needed, and not before",
            do="waycairn verify",
            act=HealthAct.VERIFY,
            facts={"verified_age": facts.verified_age},
        )


def _sweep(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    age = facts.store_age if facts.swept_age is None else facts.swept_age
    if age > settings.sweep_warning and facts.checkpoints:
        yield Issue(
            check="sweep",
            severity="warning",
            what="never swept" if facts.swept_age is None else f"swept last {_days(age)} ago",
            means="bytes of deleted and replaced checkpoints are kept",
            do="waycairn sweep",
            act=HealthAct.SWEEP,
            facts={"swept_age": facts.swept_age},
        )


def _fragmentation(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    severity = _over(facts.fragmentation, settings.fragmentation_warning, settings.fragmentation_critical)
    if severity:
        yield Issue(
            check="fragmentation",
            severity=severity,
            what=f"{facts.fragmentation:.0%} of the bytes of packs are dead",
            means="they take room beside chunks that live; nothing is lost",
            do="waycairn optimize",
            act=HealthAct.OPTIMIZE,
            facts={"dead_bytes": facts.dead_bytes, "pack_bytes": facts.pack_bytes},
        )


def _leftovers(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    if facts.leftover_bytes > settings.leftovers_warning:
        yield Issue(
            check="leftovers",
            severity="warning",
            what=f"{_count(facts.leftovers, 'pack')} on disk belonging to no commit, {_size(facts.leftover_bytes)}",
            means="saves that died left them; nothing needs them",
            do="waycairn sweep",
            act=HealthAct.SWEEP,
            facts={"packs": facts.leftovers, "bytes": facts.leftover_bytes},
        )


def _log(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    if facts.log_bytes is not None and facts.log_bytes > settings.wal_warning:
        yield Issue(
            check="log",
            severity="warning",
            what=f"the log beside the catalog has {_size(facts.log_bytes)}",
            means="somebody keeps reading at an old place, so it cannot be emptied; commits get slower",
            do="end the process that reads for so long (fuser catalog.db-wal names it)",
            facts={"bytes": facts.log_bytes},
        )


def _encryption(facts: Facts, _: HealthSettings) -> Iterator[Issue]:
    if facts.is_encrypted is False:
        yield Issue(
            check="encryption",
            severity="info",
            what="the store is not encrypted",
            means="whoever can read its files can read the states in them",
            do="",
        )


# -- room ---------------------------------------------------------------------------------------------------------


def _disk(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    severity = _under(facts.disk_free, settings.disk_warning, settings.disk_critical)
    if severity and facts.disk_free is not None:
        yield Issue(
            check="disk",
            severity=severity,
            what=f"{_size(facts.disk_free)} of the disk are free",
            means="saves fail when it is used up; what was acknowledged is safe",
            do="free room on the disk, or give some back: waycairn sweep",
            act=HealthAct.SWEEP,
            facts={"free_bytes": facts.disk_free, "total_bytes": facts.disk_total},
        )


def _growth(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    severity = _under(facts.days_left, settings.days_left_warning, settings.days_left_critical)
    if severity and facts.days_left is not None and facts.growth_a_day is not None:
        yield Issue(
            check="growth",
            severity=severity,
            what=f"growing by {_size(facts.growth_a_day)} a day; the disk is full in {facts.days_left:.1f} days",
            means="saves fail from then on; what was acknowledged is safe",
            do="keep fewer checkpoints (retention), or free room on the disk",
            facts={"bytes_a_day": facts.growth_a_day, "days_left": facts.days_left},
        )


# -- what was measured ----------------------------------------------------------------------------------------------


def _failures(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    tried, failed = _tried(facts, ("save", "commit"))
    if failed:
        share = failed / tried
        yield Issue(
            check="save failures",
            severity="critical" if share > settings.failures_critical else "warning",
            what=f"{failed:,} of {tried:,} saves and commits failed within a day ({share:.1%})",
            means="what they held was not acknowledged; what was acknowledged is safe",
            do="look into the job's log for the error; waycairn doctor looks at the store",
            facts={"failures": failed, "tried": tried},
        )
    tried, failed = _tried(facts, ("load",))
    if failed:
        yield Issue(
            check="load failures",
            severity="warning",
            what=f"{failed:,} of {tried:,} loads failed within a day",
            means="older intact checkpoints were used instead, or the job was told",
            do="waycairn verify",
            act=HealthAct.VERIFY,
            facts={"failures": failed, "tried": tried},
        )
    _, failed = _tried(facts, ("notify",))
    if failed:
        yield Issue(
            check="notifications",
            severity="warning",
            what=f"{_count(failed, 'notification')} not delivered within a day",
            means="somebody was not told; jobs and their data have nothing to do with it",
            do="waycairn notify test",
            facts={"failures": failed},
        )


def _latency(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    for act, warning, critical in (
        ("save", settings.save_p99_warning, settings.save_p99_critical),
        ("load", settings.load_p99_warning, settings.load_p99_critical),
    ):
        measured = facts.acts.get(act)
        p99 = measured.p99 if measured else None
        severity = None if p99 is None else _over(p99, warning, critical)
        if severity:
            yield Issue(
                check=f"{act} latency",
                severity=severity,
                what=f"one of 100 {act}s of the last day took longer than {p99:.3g} s",
                means="jobs wait for it; nothing is lost",
                do="waycairn doctor measures the disk; fewer or smaller saves take less",
                facts={"p99": p99},
            )


def _late(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    late = facts.late_saves + facts.skipped_saves
    if late >= settings.late_warning:
        yield Issue(
            check="late saves",
            severity="warning",
            what=f"{facts.late_saves:,} automatic saves were late and {facts.skipped_saves:,} left out within a day",
            means="after a crash more is done again than the pace promises",
            do="smaller items, or a pace that the disk can keep (docs: choose the pace)",
            facts={"late": facts.late_saves, "skipped": facts.skipped_saves},
        )


# -- runs -----------------------------------------------------------------------------------------------------------


def _orphans(facts: Facts, _: HealthSettings) -> Iterator[Issue]:
    if facts.orphans:
        yield Issue(
            check="orphans",
            severity="warning",
            what=f"{_count(len(facts.orphans), 'run')} held by the dead: {_names(facts.orphans)}",
            means="what they committed is safe; nobody goes on with them",
            do="waycairn orphans; then waycairn resume, or waycairn discard",
            act=HealthAct.RUNS,
            facts={"runs": [one.id for one in facts.orphans]},
        )


def _overdue(facts: Facts, _: HealthSettings) -> Iterator[Issue]:
    if facts.overdue:
        yield Issue(
            check="overdue runs",
            severity="warning",
            what=f"{_count(len(facts.overdue), 'run')} overdue: {_names(facts.overdue, why=True)}",
            means="they may hang; what they committed is safe",
            do="waycairn show --watch; if it hangs: end its process, then waycairn resume",
            act=HealthAct.RUNS,
            facts={"runs": [one.id for one in facts.overdue]},
        )


def _takeovers(facts: Facts, settings: HealthSettings) -> Iterator[Issue]:
    severity = _over(facts.takeovers, settings.takeovers_warning, settings.takeovers_critical)
    if severity:
        yield Issue(
            check="takeovers",
            severity=severity,
            what=f"{facts.takeovers:,} runs were taken over from dead owners within a day",
            means="jobs die often; each time they go on from their last commit",
            do="find out what kills them (out of memory? dmesg; the log of the job)",
            facts={"takeovers": facts.takeovers, "forced": facts.forced_takeovers},
        )


def _streams(facts: Facts, _: HealthSettings) -> Iterator[Issue]:
    if facts.away:
        yield Issue(
            check="streams",
            severity="warning",
            what=f"the sink of {_count(len(facts.away), 'stream')} away: {_names(facts.away, why=True)}",
            means="nothing is lost: lines wait in their files, and are consumed when it is back",
            do="bring the database back; waycairn stream list",
            act=HealthAct.STREAMS,
            facts={"streams": [one.name for one in facts.away], "outages": facts.outages},
        )


def _backups(facts: Facts, _: HealthSettings) -> Iterator[Issue]:
    if facts.damaged_backups:
        yield Issue(
            check="backups",
            severity="critical",
            what=f"{_count(len(facts.damaged_backups), 'backup')} damaged: {_names(facts.damaged_backups)}",
            means="their sources were deleted: what is damaged in there is nowhere else",
            do="waycairn repair mends what can be mended; waycairn backup show names what is damaged",
            act=HealthAct.REPAIR,
            facts={"backups": [one.id for one in facts.damaged_backups]},
        )
    if facts.cut_off_deletes:
        yield Issue(
            check="backups",
            severity="warning",
            what=f"{_count(len(facts.cut_off_deletes), 'delete')} not finished: {_names(facts.cut_off_deletes, why=True)}",
            means="some of it may be gone; the backup has all of it",
            do="waycairn backup delete-source finishes it, waycairn backup restore brings all of it back",
            act=HealthAct.BACKUPS,
            facts={"backups": [one.id for one in facts.cut_off_deletes]},
        )
    if facts.leaving_backups:
        yield Issue(
            check="backups",
            severity="info",
            what=f"{_count(len(facts.leaving_backups), 'backup')} about to go: {_names(facts.leaving_backups, why=True)}",
            means="their sources were deleted: nothing brings them back then",
            do="where that is too early: waycairn backup extend, or waycairn backup pin",
            act=HealthAct.BACKUPS,
            facts={"backups": [one.id for one in facts.leaving_backups]},
        )


def _measuring(facts: Facts, _: HealthSettings) -> Iterator[Issue]:
    if not facts.is_measured:
        yield Issue(
            check="measurements",
            severity="info",
            what="performance tracking is off (health.performance)",
            means="latencies and failures are not known",
            do="",
        )


_RULES = (
    *(_damage, _backups, _failures, _disk, _growth, _orphans, _overdue, _streams, _takeovers, _latency, _late),
    *(_verification, _sweep, _fragmentation, _leftovers, _log, _encryption, _measuring),
)


# -- words ----------------------------------------------------------------------------------------------------------


def _over(value: float, warning: float, critical: float) -> Severity | None:
    return "critical" if value > critical else "warning" if value > warning else None


def _under(value: float | None, warning: float, critical: float) -> Severity | None:
    return None if value is None else _over(-value, -warning, -critical)


def _tried(facts: Facts, acts: Sequence[str]) -> tuple[int, int]:
    """How many were tried, and how many of these failed."""
    found = [facts.acts[act] for act in acts if act in facts.acts]
    failed = sum(one.failures for one in found)
    return sum(one.count for one in found) + failed, failed


def _names(waiting: Sequence[Waiting], *, why: bool = False) -> str:
    named = [f"{one.name!r} ({one.why})" if why else repr(one.name) for one in waiting[:_NAMED]]
    return ", ".join(named) + (", …" if len(waiting) > _NAMED else "")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun} is" if count == 1 else f"{count:,} {noun}s are"


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days"


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def plain(waiting: Sequence[Waiting]) -> list[dict[str, Any]]:
    """As JSON values."""
    return [{"name": one.name, "id": one.id, "why": one.why} for one in waiting]
