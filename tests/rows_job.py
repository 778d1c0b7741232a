"""One act on the rows of rows_case, in a process that a test kills: python rows_job.py delete|restore ADDRESS FOLDER [BYTES].

BYTES: no file may grow beyond that many, as on a disk that is full.
"""

import resource
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import sqlalchemy as sa

from backup_folder import FolderContents
from rows_case import CHILDREN, OLD, driver
from waycairn.backups.rows import rows
from waycairn.backups.source import Wish


def main(act: str, address: str, folder: str, most: str = "") -> None:
    if most:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
    engine = sa.create_engine(driver(address), poolclass=sa.NullPool)
    source = rows(engine, "conversations", OLD, CHILDREN)
    backup = FolderContents(Path(folder))
    print("ready", flush=True)
    if act == "delete":
        source.delete(backup)
    else:
        source.restore(backup, Wish())
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
