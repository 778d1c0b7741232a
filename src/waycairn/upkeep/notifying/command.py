"""A command: a program of the user's that reads the document on its standard input."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import suppress

from waycairn.model.notification_settings import ChannelSettings
from waycairn.upkeep.notifying.notification import Notification, Undeliverable

_SHOWN = 300
"""Bytes of what it said on standard error."""


def run(channel: ChannelSettings, notification: Notification) -> None:
    """Raises Undeliverable unless it ends with 0 within its time; then it is killed with everything that it started."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as given:
        # Files, not pipes: a child of it that lives on must not keep us waiting.
        given.write(notification.document())
        given.seek(0)
        try:
            process = subprocess.Popen(  # noqa: S603 - a list, as the user set it; no shell sees it
                list(channel.argv), stdin=given, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        except OSError as error:
            raise Undeliverable(f"{channel.argv[0]} cannot be started: {error.strerror}", is_final=True) from None
        try:
            code = process.wait(channel.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise Undeliverable(f"it was not done after {channel.timeout:g} s and was killed") from None
        if code:
            said.seek(0)
            words = " ".join(said.read(_SHOWN).decode(errors="replace").split())
            raise Undeliverable(f"it ended with {code}{f': {words}' if words else ''}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
