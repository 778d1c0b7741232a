"""The same commands over a store on PostgreSQL: who lives is told by leases, and addresses may hold passwords."""

import signal

from commands import document, run_job, start_job, waycairn


def test_commands_over_a_server(postgres_schema, tmp_path):
    """A killed run is an orphan at once, is resumed by its recorded command, and everything verifies."""
    setting = {"WAYCAIRN_STORE": postgres_schema}
    assert run_job(tmp_path, "kill", "lost", **setting) == -signal.SIGKILL
    named = ("--store", postgres_schema)
    (orphan,) = document("orphans", *named, at=tmp_path)["orphans"]
    assert orphan["name"] == "lost"

    printed = document("resume", "lost", *named, at=tmp_path)
    assert printed["environment"]["WAYCAIRN_STORE"].startswith("postgresql://")
    assert "WAYCAIRN_STORE" not in document("show", "lost", *named, at=tmp_path)["run"]["launch"]["environment"]
    resumed = waycairn("resume", "lost", *named, at=tmp_path)
    assert resumed.stdout == "finished 40 resumed True COLOUR=\n", resumed.stderr

    stats = document("stats", *named, at=tmp_path)
    assert stats["runs"] == {"completed": 1}
    assert stats["catalog_bytes"] is None
    assert document("verify", *named, at=tmp_path)["damaged"] == []
    findings = {one["check"]: one for one in document("doctor", *named, at=tmp_path)["findings"]}
    assert {"store", "clock", "packs", "space", "file system of the packs", "flush of the packs"} <= set(findings)
    assert not set(findings) & {"integrity", "queue", "owner files"}
    assert findings["server"]["level"] == "warning", "the server of the tests does not flush"
    assert findings["server"]["facts"] == {"fsync": "off", "full_page_writes": "on"}


def test_a_stopped_owner_on_a_server(postgres_schema, tmp_path):
    """Its lease holds until a takeover, which frees the run at once."""
    job = start_job(tmp_path, "stop", "held", WAYCAIRN_STORE=postgres_schema)
    try:
        assert job.stdout.readline() == "ready\n"
        named = ("--store", postgres_schema)
        assert waycairn("resume", "held", *named, at=tmp_path).returncode == 4
        assert document("takeover", "held", "--yes", *named, at=tmp_path)["taken"]
        assert document("show", "held", *named, at=tmp_path)["run"]["status"] == "orphaned"
        assert run_job(tmp_path, "end", "held", WAYCAIRN_STORE=postgres_schema) == 0
    finally:
        job.kill()
        job.wait()
        job.stdout.close()
