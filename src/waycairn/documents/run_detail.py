"""One run with what is below it, as JSON values with stable keys."""

from __future__ import annotations

from typing import Any

from waycairn.upkeep.run_detail import RunDetail


def whole_facts(whole: RunDetail, *, with_contents: bool) -> dict[str, Any]:
    """What its row and the rows below it say beyond what lists show. Without contents: neither its command, which may hold
    what is secret, nor its files."""
    run, launch = whole.standing.run, whole.standing.run.launch
    outputs = [{"path": output.path, "length": output.length} for output in whole.outputs]
    return {
        "fingerprint": None if run.fingerprint is None else dict(run.fingerprint),
        "metadata": dict(run.metadata),
        "launch": {"argv": list(launch.argv), "directory": launch.directory} if with_contents and launch else None,
        "origin": run.origin,
        "loops": dict(whole.loops),
        "waiting": list(whole.waiting),
        "checkpoints": whole.checkpoints,
        "steps": whole.steps,
        "outputs": outputs if with_contents else None,
    }
