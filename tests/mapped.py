"""Functions that tests hand to `run.map`, in a module of their own, so that worker processes can import them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Reply:
    text: str
    tokens: int


@dataclass
class Stranger:
    """Not named by any return annotation."""

    text: str


def log(path: str, word: object) -> None:
    """One line in a file, whatever happens to this process next."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{word}\n".encode())
    os.close(handle)


def logged(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def square(number: int) -> int:
    return number * number


async def square_async(number: int) -> int:
    await asyncio.sleep(0)
    return number * number


def reply(number: int) -> Reply:
    return Reply(f"reply {number}", number)


async def reply_async(number: int) -> Reply:
    return reply(number)


def pick(number: int) -> int:
    """Fails for every number that ends in 3."""
    if number % 10 == 3:
        raise ValueError(f"bad {number}")
    return number


async def pick_async(number: int) -> int:
    return pick(number)


class Busy(Exception):
    """The service is busy; it may say when to come back."""

    def __init__(self, retry_after: float | None = None) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


def third_time(item: tuple[str, int]) -> str:
    """Succeeds when it is called the third time."""
    path, number = item
    log(path, number)
    if logged(Path(path)).count(str(number)) < 3:
        raise Busy
    return "at last"


async def third_time_async(item: tuple[str, int]) -> str:
    return third_time(item)


def note(item: tuple[str, int]) -> int:
    """Leaves its number in a file."""
    path, number = item
    log(path, number)
    return number


def note_slowly(item: tuple[str, int]) -> int:
    time.sleep(0.03)
    return note(item)


async def note_async(item: tuple[str, int]) -> int:
    return note(item)


def busy_once(item: tuple[str, int]) -> int:
    """Notes when it begins. Item 300 is told to come back after 0.8 seconds, the first time."""
    path, number = item
    seen = number == 300 and any(line.endswith(":300") for line in logged(Path(path)))
    log(path, f"{time.monotonic()}:{number}")
    if number == 300 and not seen:
        raise Busy(retry_after=0.8)
    return number


async def busy_once_async(item: tuple[str, int]) -> int:
    return busy_once(item)


def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


async def slow_async(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


def stuck(number: int) -> str:
    """In native code that keeps the interpreter's lock."""
    if number == 2:
        ctypes.PyDLL(None).usleep(30_000_000)
    return "done"


def deadly(item: tuple[str, int, str]) -> int:
    """Item 5 kills the process that runs it: by a signal, or by a wild pointer."""
    path, number, how = item
    log(path, number)
    if number == 5:
        if how == "segfault":
            ctypes.string_at(0)
        elif how == "exit":
            os._exit(3)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return number


def deadly_among_many(number: int) -> int:
    if number == 4_555:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def leaves(number: int) -> int:
    if number == 1:
        sys.exit("enough")
    return number


def unstorable(number: int) -> Any:
    return {"open": object()} if number == 1 else number


def stranger(number: int) -> Any:
    return Stranger(str(number))


def who(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def length_of(data: bytes, _: int) -> int:
    return len(data)


class Unsendable:
    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        raise TypeError("it holds a connection")


def name_of(item: Any) -> str:
    return str(item.name if isinstance(item, Unsendable) else item)
