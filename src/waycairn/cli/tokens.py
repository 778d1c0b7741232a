"""`waycairn token …`: what programs sign in with at the server."""

from __future__ import annotations

from typing import Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.output import Face, text, wrong_use
from waycairn.model.accounts import Role

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose token it is.")]


def create(
    face: Face,
    account: Account,
    name: Annotated[str, typer.Option("--name", help="What it is for.")],
    scope: Annotated[
        list[Role] | None,
        typer.Option("--scope", help="It may do no more than this role; by default what the account may."),
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option("--expires-in", metavar="TIME", help="It is worth nothing after 12h, 30d, ...; else never."),
    ] = None,
) -> None:
    """Make a token, and print its secret: the only time that anybody sees it. Programs send it in the header
    `Authorization: Bearer SECRET`."""
    from waycairn.documents.accounts import token_document
    from waycairn.model.units import seconds
    from waycairn.upkeep.sizes import iso

    with face.open() as store, wrong_use():
        lasts = None if expires_in is None else seconds("--expires-in", expires_in)
        expires = None if lasts is None else store.core.clock.now() + lasts
        token, secret = store.accounts.add_token(account, name, scope or (), expires)
    if face.as_json:
        face.document({"token": token_document(account, token, iso), "secret": secret})
        return
    face.line(secret)
    face.aside(f"token {token.id} of {account}; keep it now, it is not shown again")


def list_(
    face: Face,
    account: Annotated[str | None, typer.Option("--account", help="Only those of this account.")] = None,
) -> None:
    """List the tokens, newest first. Their secrets are known to nobody any more."""
    from waycairn.documents.accounts import token_document
    from waycairn.upkeep.sizes import iso

    with face.open() as store:
        found = [token_document(name, token, iso) for name, token in store.accounts.tokens(account)]
    if face.as_json:
        face.document({"tokens": found})
        return
    if not found and face.is_terminal:
        face.line("there are no tokens")
        return
    face.table(
        ("ID", "ACCOUNT", "NAME", "SCOPES", "CREATED", "EXPIRES", "USED"),
        [
            (
                one["id"],
                text(one["account"]),
                text(one["name"]),
                " ".join(one["scopes"]),
                *((one[when] or "never")[:19].replace("T", " ") for when in ("created", "expires", "used")),
            )
            for one in found
        ],
    )


def revoke(
    face: Face, token: Annotated[str, typer.Argument(metavar="ID", help="As `waycairn token list` names it.")]
) -> None:
    """Make a token worthless, at once."""
    with face.open() as store:
        store.accounts.remove_token(token)
    if face.as_json:
        face.document({"revoked": token})
    face.done(f"token {token} is worth nothing any more")


COMMANDS = (
    Command("create", create),
    Command("list", list_),
    Command("revoke", revoke, has_quiet=True),
)
