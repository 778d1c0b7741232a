"""Downloads of backups from a real server: how fast, and in how much memory. Give gigabytes and clients: `downloads.py 1 3`.

PYTHONPATH=src:tests python bench/downloads.py 1 3
"""

import hashlib
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from backups_served import told
from serving import add_people, served, token_for
from waycairn.work.store import open_store

MIB = 1 << 20


def memory(pid: int, what: str) -> float:
    """MiB."""
    return int(re.search(rf"^{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1]) / 1024


def main(gigabytes: float, clients: int) -> None:
    size = int(gigabytes * 1024) * MIB
    block = hashlib.shake_256(b"block").digest(64 * MIB)
    with tempfile.TemporaryDirectory() as place, open_store(f"{place}/store") as store:
        add_people(store)
        began = time.perf_counter()
        pieces = (bytes([at % 251]) + block[(at * MIB) % (63 * MIB) :][: MIB - 1] for at in range(size // MIB))
        id_ = told(store, {"large": pieces})
        print(f"backup of {size / 1e9:.2f} GB: {time.perf_counter() - began:.1f} s")
        with served(store.url) as server:
            pid, secret = server.process.pid, token_for(store, "olga")
            http = httpx.Client(headers={"Authorization": f"Bearer {secret}"}, timeout=600)

            def download(path: str) -> int:
                with http.stream("GET", f"{server.api}/backups/{id_}/{path}") as answer:
                    return sum(len(piece) for piece in answer.iter_raw(MIB))

            http.get(f"{server.api}/backups/{id_}/members/large", headers={"Range": "bytes=0-9"})
            for path, many in (("members/large", 1), ("archive", 1), ("members/large", clients)):
                before = memory(pid, "VmRSS")
                Path(f"/proc/{pid}/clear_refs").write_text("5")
                began = time.perf_counter()
                with ThreadPoolExecutor(many) as pool:
                    total = sum(pool.map(download, [path] * many))
                took = time.perf_counter() - began
                more = memory(pid, "VmHWM") - before
                print(f"{many} x {path}: {total / took / 1e6:.0f} MB/s, at most {more:.0f} MiB more memory")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1.0, int(sys.argv[2]) if len(sys.argv) > 2 else 3)
