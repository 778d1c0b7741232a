"""The lines of waycairn's loggers, where the settings say that they are written."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from waycairn.settings.problem import Problem, invalid

if TYPE_CHECKING:
    from waycairn.model.logging_settings import LoggingSettings

_ROOT = "waycairn"
_lock = threading.Lock()
_written: list[tuple[LoggingSettings, logging.Handler]] = []
"""What was set up in this process last."""


def set_up_logging(settings: LoggingSettings) -> None:
    """Write them as the settings say, in place of where the program's own logging would send them. Of several stores of one
    process the one that was opened last decides; one that says nothing changes nothing. SettingsInvalid for a file that
    cannot be written."""
    if settings.lines == "off":
        return
    with _lock:
        if _written and _written[-1][0] == settings:
            return
        handler = _handler(settings)
        logger = logging.getLogger(_ROOT)
        for _, former in _written:
            logger.removeHandler(former)
            former.close()
        logger.addHandler(handler)
        logger.setLevel(settings.level.upper())
        logger.propagate = False
        _written[:] = [(settings, handler)]


def _handler(settings: LoggingSettings) -> logging.Handler:
    handler: logging.Handler
    if settings.file is None:
        handler = _Stderr()
    else:
        try:
            handler = logging.FileHandler(settings.file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            what = f"{settings.file} cannot be written ({error.strerror})"
            raise invalid([Problem(what, ("logging", "file"))]) from None
    handler.setFormatter(JsonLines() if settings.lines == "json" else TextLines())
    return handler


class _Stderr(logging.StreamHandler[Any]):
    """Whatever stderr is at that moment, as for logging's own last resort."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _: Any) -> None: ...


_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; the rest are facts that the call gave as `extra`."""


class JsonLines(logging.Formatter):
    """One object a line: time (UTC), level, logger, pid, message, the facts of the call, and the error if there was one."""

    def format(self, record: logging.LogRecord) -> str:
        import json

        from waycairn.settings.secrets import masked, without_passwords

        facts = {name: value for name, value in vars(record).items() if name not in _USUAL}
        line = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process or os.getpid(),
            "message": without_passwords(record.getMessage()),
            **masked(facts),
        }
        if record.exc_info:
            line["error"] = without_passwords(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=repr)


class TextLines(logging.Formatter):
    """`2026-11-21T09:55:18.123Z info waycairn: resumed run …`."""

    def format(self, record: logging.LogRecord) -> str:
        from waycairn.settings.secrets import without_passwords

        told = f"{_moment(record.created)} {record.levelname.lower()} {record.name}: {record.getMessage()}"
        if record.exc_info:
            told += "\n" + self.formatException(record.exc_info)
        return without_passwords(told)


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"
