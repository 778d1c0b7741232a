"""The mirror of a session: its iterations as readable files beside the catalog, and what they hold, read back.

A folder for each run that has a session holds `session.jsonl`, a line for each commit with iterations, rules or patterns,
and `SEQUENCE.json` for each of the newest iterations, with its state. Both carry a checksum: what is torn or damaged is
told from what is whole. docs/reference/mirror.md describes every key.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from blake3 import blake3

from waycairn.catalog.columns import decode_json, encode_json
from waycairn.chunks.sealing import compressed, decompressed
from waycairn.errors import Damaged
from waycairn.model.encoded import Encoded
from waycairn.model.journal import Iteration, JournalRows, Pattern, RuleOptimization
from waycairn.model.records import RunRecord
from waycairn.upkeep.sizes import iso

VERSION = 1
LOG = "session.jsonl"
FORMER = "=former"
"""Behind the name of a folder: that of the run of this name before. `quote` leaves no `=` in a name."""
MOST_EXACT = 64 * 2**20
"""Bytes of a state that is kept exactly: larger ones would double what a session writes."""
_LONGEST = 180
"""Characters of a folder's name; file systems allow 255 bytes."""
_MARK = '"blake3": "'
_DIGEST = 64


# -- names -----------------------------------------------------------------------------------------------------


def folder_name(runs: Sequence[tuple[str, str | None]]) -> str:
    """For the name and key of a run, behind those of the runs it is a phase of: `nightly@2026-11-21`. Any two runs have
    different ones, and none of them leads elsewhere."""
    parts = [safe(name) + ("" if key is None else f"@{safe(key)}") for name, key in runs]
    name = "+".join(parts)
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 33]}={blake3(name.encode()).hexdigest(16)}"
    return name


def safe(name: str) -> str:
    """A name as a part of a file name."""
    quoted = quote(name, safe="", errors="surrogatepass")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


# -- documents with a checksum ---------------------------------------------------------------------------------


def signed(document: Mapping[str, Any], indent: int | None = None) -> bytes:
    """JSON whose last key, `blake3`, is the hash of everything before it."""
    text = json.dumps(document, indent=indent, allow_nan=False)
    body, end = (text[:-1], "}") if indent is None else (text[:-2], "\n}")
    between = ", " if indent is None else ",\n" + " " * indent
    head = f"{body}{between}{_MARK}"
    return f'{head}{blake3(head.encode()).hexdigest()}"{end}\n'.encode()


def unsigned(data: bytes) -> dict[str, Any]:
    """The document again. ValueError if it is torn or damaged."""
    text = data.decode("utf-8")
    place = text.rfind(_MARK)
    head, digest = text[: place + len(_MARK)], text[place + len(_MARK) :][:_DIGEST]
    if place < 0 or blake3(head.encode()).hexdigest() != digest:
        raise ValueError("its checksum does not match")
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"it is of version {document.get('version')}, and this waycairn reads {VERSION}")
    return document


# -- records <-> JSON ------------------------------------------------------------------------------------------


def run_facts(run: RunRecord, store: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "key": run.key,
        "task": run.task,
        "tags": list(run.tags),
        "metadata": _json(dict(run.metadata)),
        "fingerprint": _json(run.fingerprint),
        "created": iso(run.created),
        "store": store,
    }


def rows_facts(rows: JournalRows) -> dict[str, Any]:
    return {
        "iterations": [_iteration_facts(one) for one in rows.iterations],
        "rules": [_rule_facts(one) for one in rows.rules],
        "patterns": [_pattern_facts(one) for one in rows.patterns],
    }


def rows_of(document: Mapping[str, Any]) -> JournalRows:
    """From `rows_facts`. ValueError, KeyError or TypeError for what is none."""
    return JournalRows(
        iterations=[_iteration_of(one) for one in document["iterations"]],
        rules=[_rule_of(one) for one in document["rules"]],
        patterns=[_pattern_of(one) for one in document["patterns"]],
    )


def _iteration_facts(one: Iteration) -> dict[str, Any]:
    return {
        "number": one.number,
        "metrics": {name: _number(value) for name, value in one.metrics.items()},
        "improvement": _number(one.improvement),
        "ended": one.ended,
        "took": one.took,
        "epoch": one.epoch,
        "description": one.description,
        "error": _json(one.error),
    }


def _iteration_of(facts: Mapping[str, Any]) -> Iteration:
    improvement = facts["improvement"]
    return Iteration(
        number=facts["number"],
        metrics={name: float(value) for name, value in facts["metrics"].items()},
        improvement=None if improvement is None else float(improvement),
        ended=facts["ended"],
        took=facts["took"],
        epoch=facts["epoch"],
        description=facts["description"],
        error=_value(facts["error"]),
    )


def _rule_facts(one: RuleOptimization) -> dict[str, Any]:
    return {
        "rule": one.rule,
        "score": one.score,
        "baseline": one.baseline,
        "improvement": _number(one.improvement),
        "parameters": _json(dict(one.parameters)),
        "description": one.description,
        "iteration": one.iteration,
        "created": one.created,
        "candidate": one.is_candidate,
        "promoted": one.is_promoted,
    }


def _rule_of(facts: Mapping[str, Any]) -> RuleOptimization:
    return RuleOptimization(
        rule=facts["rule"],
        score=facts["score"],
        baseline=facts["baseline"],
        improvement=float(facts["improvement"]),
        parameters=_value(facts["parameters"]),
        description=facts["description"],
        iteration=facts["iteration"],
        created=facts["created"],
        is_candidate=facts["candidate"],
    )


def _pattern_facts(one: Pattern) -> dict[str, Any]:
    return {
        "pattern": one.pattern,
        "effectiveness": one.effectiveness,
        "data": _json(one.data),
        "description": one.description,
        "iteration": one.iteration,
        "created": one.created,
    }


def _pattern_of(facts: Mapping[str, Any]) -> Pattern:
    return Pattern(
        pattern=facts["pattern"],
        effectiveness=facts["effectiveness"],
        data=_value(facts["data"]),
        description=facts["description"],
        iteration=facts["iteration"],
        created=facts["created"],
    )


def _number(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinities: they are the words that `float` reads."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _json(value: Any) -> Any:
    """As the catalog writes JSON: what JSON does not have is wrapped."""
    text = encode_json(value)
    return None if text is None else json.loads(text)


def _value(stored: Any) -> Any:
    return None if stored is None else decode_json(json.dumps(stored))


# -- states ----------------------------------------------------------------------------------------------------


def exact(encoded: Encoded) -> dict[str, Any] | None:
    """The bytes of a state, compressed, as text; None if it is too large for that."""
    if encoded.size > MOST_EXACT:
        return None
    parts: list[bytes | memoryview] = [encoded.document, *encoded.buffers]
    document, *buffers = [base64.b64encode(compressed(part)).decode("ascii") for part in parts]
    return {"bytes": encoded.size, "blake3": _digest_of(parts), "document": document, "buffers": buffers}


def encoded_of(facts: Mapping[str, Any]) -> Encoded:
    """The bytes again. ValueError or Damaged if they are not those that were written."""
    limit = int(facts["bytes"])
    texts = [facts["document"], *facts["buffers"]]
    parts: list[bytes | memoryview] = [
        decompressed(base64.b64decode(text, validate=True), limit, "a mirrored state") for text in texts
    ]
    if _digest_of(parts) != facts["blake3"]:
        raise Damaged("a mirrored state does not match its hash. It is not used.")
    return Encoded(bytes(parts[0]), [memoryview(part) for part in parts[1:]])


def _digest_of(parts: Sequence[bytes | memoryview]) -> str:
    digest = blake3()
    for part in parts:
        view = memoryview(part).cast("B")
        digest.update(view.nbytes.to_bytes(8, "little"))
        digest.update(view)
    return digest.hexdigest()
