"""Reply to 250 conversations with a service that is slow and fails, into a file and the tables of a database.

    python examples/conversations.py                        results in ./conversations-replies
    python examples/conversations.py --service-recovered    the second pass: what failed is tried again
    python examples/conversations.py --purge 100            the 100 oldest go with their turns, once their backup is verified
    python examples/conversations.py --bring-back BACKUP    and come back

Stop it whenever you like, with Ctrl-C, kill -9 or the power switch, and start it again with the same command. One half of
the conversations teaches the service how to reply (service.py, replying.py), the other half is what it replies to.
Everything that makes the results the same is in `reply_to_all`; the rest reads options and tells what happened.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import signal
from collections import Counter
from pathlib import Path

import dialogues
from replying import Replier
from service import Overloaded, Service
from sqlalchemy import column
from tables import Tables

import waycairn as wc

DATA = Path(__file__).resolve().parent / "data" / "conversations" / "taskmaster4_00.jsonl"
RETRY = wc.Retry(attempts=3, wait=0.05, on=Overloaded)
"""What is refused is not asked again in the same pass."""


def reply_to_all(
    run: wc.Run, service: Service, asked: list[dialogues.Conversation], tables: Tables, given: argparse.Namespace
) -> None:
    """Workers call the service; the body runs here, for one answer after the other.

    An answer that is there when the process dies is not asked for again, but its body may run again: the tables are
    written by key, so that this changes nothing, and the file is cut back to where its last cut was.
    """
    ask = service.answer_async if given.on == "async" else service.answer
    lines = run.output(given.output_dir / "replies.jsonl", append=True)
    answers = run.map(
        ask,
        asked,
        key="id",
        workers=given.workers,
        on=given.on,
        rate=given.rate,
        order=given.order,
        retry=RETRY,
        timeout=given.timeout,
    )
    for number, item in enumerate(answers, 1):
        tables.put(item.value, item.result.replies)
        if number == given.crash_after:
            os.kill(os.getpid(), signal.SIGKILL)
        lines.write(json.dumps({"id": item.value.id, "replies": item.result.replies}, ensure_ascii=False) + "\n")


def purge(store: wc.Store, database: Path, old: list[dialogues.Conversation]) -> None:
    """Nothing goes before all of it is durable in the store, read back and compared; and nothing goes that changed since."""
    oldest = wc.rows(
        f"sqlite:///{database}",
        "conversations",
        where=column("id").in_([one.id for one in old]),
        children={"turns": "conversation"},
    )
    with store.safeguard(oldest, keep="30d") as backup:
        backup.delete()
    of = ", ".join(f"{one.records} {name.removesuffix('.jsonl')}" for name, one in backup.members.items())
    print(f"purged {of}; to bring them back: --bring-back {backup.id}")


def bring_back(store: wc.Store, backup: str) -> None:
    back = store.restore(backup)
    print(f"brought back {', '.join(f'{count} {table}' for table, count in back.details.items())}")


def tell(run: wc.Run, service: Service, tables: Tables, replies: Path) -> None:
    """What there is now, and what proves it."""
    calls, (turns, digest) = service.calls(), tables.digest()
    print(run.ledger.summary())
    for reason, count in Counter(f"{one.type}: {one.message}" for one in run.ledger.failures()).most_common():
        print(f"   {count} times {reason}")
    print(f"calls of the service: {calls.total()}, for {len(calls)} conversations")
    print(f"the tables:           {turns} turns, sha256 {digest}")
    print(f"{replies.name}:        sha256 {hashlib.sha256(replies.read_bytes()).hexdigest()}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="file of conversations, one a line")
    parser.add_argument("--output-dir", type=Path, default=Path("conversations-replies"), help="folder for the results")
    parser.add_argument("--store", type=Path, help="where to remember; the default store if not given")
    parser.add_argument("--workers", type=int, default=8, help="calls at once (default 8)")
    parser.add_argument("--on", choices=("threads", "processes", "async"), default="threads", help="what calls")
    parser.add_argument("--order", choices=("input", "done"), default="input", help="of the lines of replies.jsonl")
    parser.add_argument("--rate", help='calls that may begin, such as "500/m"')
    parser.add_argument("--timeout", type=float, help="seconds a call may take")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds a call takes on average (default 0.1)")
    parser.add_argument("--service-recovered", action="store_true", help="nothing is refused any longer")
    parser.add_argument(
        "--purge", type=int, metavar="N", help="delete the N oldest, the first of the file, with a backup"
    )
    parser.add_argument("--bring-back", metavar="BACKUP", help="what a purge deleted")
    parser.add_argument("--crash-after", type=int, metavar="N", help="die by SIGKILL in the middle of the Nth answer")
    return parser.parse_args()


def main() -> None:
    given = parse()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder: Path = given.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    conversations = dialogues.read(given.data)
    taught, asked = conversations[::2], conversations[1::2]
    service = Service(Replier(taught), folder / "calls.log", given.latency, given.service_recovered)
    data = hashlib.sha256(given.data.read_bytes()).hexdigest()
    with (
        Tables(folder / "replies.db") as tables,
        wc.open(given.store) as store,
        store.run("conversations", key=given.data.stem, fingerprint={"data": data}) as run,
    ):
        reply_to_all(run, service, asked, tables, given)
        if given.purge:
            purge(store, folder / "replies.db", asked[: given.purge])
        if given.bring_back:
            bring_back(store, given.bring_back)
        tell(run, service, tables, folder / "replies.jsonl")


if __name__ == "__main__":
    main()
