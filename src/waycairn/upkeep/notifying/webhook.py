"""A webhook: the document by POST, signed if there is a secret to sign it with.

The signature is HMAC-SHA256 in hex over the time of sending (the header X-Waycairn-Timestamp, seconds since 1970), a dot,
and the body: who checks both header and age of it knows that nobody changed the document or sent an old one again.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from email.message import Message
from http.client import HTTPException
from typing import IO, NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from waycairn.model.notification_settings import SCHEMES, ChannelSettings
from waycairn.upkeep.notifying.notification import Notification, Undeliverable
from waycairn.upkeep.notifying.secrets import secret_of

_TRY_AGAIN = {408, 425, 429}
"""Of the answers below 500."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirected POST comes as a GET without its body, or goes where nobody meant it to: to another scheme, or a host
    inside the network."""

    def redirect_request(  # noqa: PLR0917 - the signature is urllib's
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,  # noqa: ARG002
        headers: Message,
        newurl: str,  # noqa: ARG002
    ) -> NoReturn:
        raise HTTPError(req.full_url, code, "it redirects; name the address that it leads to", headers, fp)


def post(channel: ChannelSettings, notification: Notification) -> None:
    """Raises Undeliverable unless the answer is 2xx."""
    body = notification.document()
    request = Request(_address(channel), body, _headers(channel, notification, body), method="POST")  # noqa: S310 - http(s) only, see `_address`
    try:
        with build_opener(_NoRedirects).open(request, timeout=channel.timeout) as answer:
            answer.read(1)
    except HTTPError as error:
        with error:
            is_final = error.code < 500 and error.code not in _TRY_AGAIN
            raise Undeliverable(f"it answered {error.code}: {error.msg}", is_final=is_final) from None
    except (URLError, HTTPException, OSError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise Undeliverable(f"no answer: {reason}") from None


def _address(channel: ChannelSettings) -> str:
    """Never anything but http(s), wherever it comes from: urllib knows other schemes, file among them."""
    url = channel.url or secret_of(channel.url_env)
    if not url.startswith(SCHEMES):
        raise Undeliverable(f"the address in {channel.url_env} does not begin with http:// or https://", is_final=True)
    return url


def _headers(channel: ChannelSettings, notification: Notification, body: bytes) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "waycairn",
        "X-Waycairn-Delivery": notification.id,
    }
    if channel.secret_env:
        moment = str(int(time.time()))
        headers["X-Waycairn-Timestamp"] = moment
        headers["X-Waycairn-Signature"] = f"sha256={signature(secret_of(channel.secret_env), moment, body)}"
    return headers


def signature(secret: str, moment: str, body: bytes) -> str:
    """What a receiver computes and compares (by hmac.compare_digest)."""
    return hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
