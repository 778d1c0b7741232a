"""E-mail by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from waycairn.model.notification_settings import ChannelSettings, Security
from waycairn.upkeep.notifying.notification import Notification, Undeliverable
from waycairn.upkeep.notifying.secrets import secret_of

_PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}
_PRIORITY = {"info": "5 (Low)", "warning": "3 (Normal)", "critical": "1 (High)"}


def send(channel: ChannelSettings, notification: Notification) -> None:
    """Raises Undeliverable. A certificate that does not hold is an error, never passed over."""
    try:
        with _connected(channel) as server:
            if channel.user:
                server.login(channel.user, secret_of(channel.password_env))
            refused = server.send_message(_message(channel, notification))
    except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused) as error:
        raise Undeliverable(_answer(error), is_final=_is_final(error)) from None
    except (smtplib.SMTPException, OSError) as error:
        raise Undeliverable(f"{type(error).__name__}: {error}") from None
    if refused:
        raise Undeliverable(f"refused for {', '.join(refused)}; the others got it", is_final=True)


def _connected(channel: ChannelSettings) -> smtplib.SMTP:
    port = channel.port or _PORTS[channel.security]
    if channel.security == "tls":
        return smtplib.SMTP_SSL(channel.host, port, timeout=channel.timeout, context=ssl.create_default_context())
    server = smtplib.SMTP(channel.host, port, timeout=channel.timeout)
    try:
        if channel.security == "starttls":
            server.starttls(context=ssl.create_default_context())
    except BaseException:
        server.close()
        raise
    return server


def _message(channel: ChannelSettings, notification: Notification) -> EmailMessage:
    message = EmailMessage()
    # A line break in a name must not begin another header.
    message["Subject"] = " ".join(f"[waycairn] {notification.subject}".split())
    message["From"] = channel.sender
    message["To"] = ", ".join(channel.to)
    message["Date"] = format_datetime(datetime.fromtimestamp(notification.at, UTC))
    message["Message-ID"] = make_msgid(idstring=notification.id, domain="waycairn.invalid")
    message["X-Priority"] = _PRIORITY[notification.priority]
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"{notification.text}\n\nstore: {notification.store}\n")
    return message


def _answer(error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"it answered {error.smtp_code}: {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    return f"every recipient was refused: {', '.join(getattr(error, 'recipients', ()))}"


def _is_final(error: smtplib.SMTPException) -> bool:
    """4xx passes by itself, 5xx does not."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500
