"""`waycairn user …`: who may use the server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from waycairn.cli.command import Command
from waycairn.cli.naming import Yes
from waycairn.cli.output import BAD_USE, Face, Refused, ask, ask_secret, can_ask, text, wrong_use
from waycairn.model.accounts import Role

if TYPE_CHECKING:
    from waycairn.model.accounts import Account
    from waycairn.work.store import Store

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the account is called.")]
RoleOption = Annotated[Role, typer.Option("--role", help="What it may do.")]
Stdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="The password is the first line of standard input; else it is asked for."),
]


def add(
    face: Face,
    name: Name,
    role: RoleOption = Role.VIEWER,
    password_stdin: Stdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="It signs in by tokens only: an account for programs.")
    ] = False,
) -> None:
    """Make an account. It owns the runs and backups of its name: also those that the user of the operating system with that
    name made."""
    password = None if no_password else _password(from_stdin=password_stdin)
    with face.open() as store, wrong_use():
        account = store.accounts.add(name, role, password)
        _tell(face, store, account, f"{name} may use the server now, as {role}")


def list_(face: Face) -> None:
    """List the accounts."""
    from waycairn.documents.accounts import account_document
    from waycairn.upkeep.sizes import iso

    with face.open() as store:
        tokens = [token for _, token in store.accounts.tokens()]
        accounts = [account_document(one, tokens, iso) for one in store.accounts.list()]
    if face.as_json:
        face.document({"accounts": accounts})
        return
    if not accounts and face.is_terminal:
        face.line("nobody may use the server yet; see `waycairn user add`, or the link that `waycairn serve` prints")
        return
    face.table(
        ("NAME", "ROLE", "STATE", "PASSWORD", "TOKENS", "SEEN"),
        [
            (
                text(one["name"]),
                one["role"],
                "disabled" if one["disabled"] else "",
                "yes" if one["has_password"] else "no",
                str(one["tokens"]),
                (one["seen"] or "never")[:19].replace("T", " "),
            )
            for one in accounts
        ],
        right=("TOKENS",),
    )


def role(
    face: Face, name: Name, to: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")]
) -> None:
    """Give an account another role. Never takes the last admin away."""
    with face.open() as store:
        account = store.accounts.change(name, role=to)
        _tell(face, store, account, f"{name} is {to} from now on")


def password(face: Face, name: Name, password_stdin: Stdin = False) -> None:
    """Give an account another password. All browsers in which it is signed in are signed out; its tokens stay."""
    with face.open() as store, wrong_use():
        store.accounts.get(name)
        account = store.accounts.change(name, password=_password(from_stdin=password_stdin))
        _tell(face, store, account, f"{name} has another password, and is signed out everywhere")


def disable(face: Face, name: Name) -> None:
    """Keep an account from doing anything, its tokens too, until it is enabled again. Never the last admin."""
    with face.open() as store:
        account = store.accounts.change(name, disabled=True)
        _tell(face, store, account, f"{name} may do nothing any more")


def enable(face: Face, name: Name) -> None:
    """Let a disabled account in again."""
    with face.open() as store:
        account = store.accounts.change(name, disabled=False)
        _tell(face, store, account, f"{name} may use the server again")


def remove(face: Face, name: Name, yes: Yes = False) -> None:
    """Remove an account with its tokens. What it made stays, under its name. Never the last admin."""
    with face.open() as store:
        store.accounts.get(name)
        ask(f"Remove the account {name} with its tokens?", yes=yes)
        store.accounts.remove(name)
    if face.as_json:
        face.document({"removed": name})
    face.done(f"the account {name} is gone; what it made stays")


def _password(*, from_stdin: bool) -> str:
    """As it is typed twice, or the first line of standard input."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not can_ask():
        raise Refused(
            "no password was given, and nobody can be asked here. Nothing was changed. Send it with --password-stdin: never as "
            "an argument, which others see.",
            BAD_USE,
        )
    words = ask_secret("Password: ")
    if ask_secret("The same again: ") != words:
        raise Refused("the two passwords differ. Nothing was changed.", BAD_USE)
    return words


def _tell(face: Face, store: Store, account: Account, done: str) -> None:
    from waycairn.documents.accounts import account_document
    from waycairn.upkeep.sizes import iso

    if face.as_json:
        tokens = [token for _, token in store.accounts.tokens(account.name)]
        face.document(account_document(account, tokens, iso))
    face.done(done)


COMMANDS = (
    Command("add", add, has_quiet=True),
    Command("list", list_),
    Command("role", role, has_quiet=True),
    Command("password", password, has_quiet=True),
    Command("disable", disable, has_quiet=True),
    Command("enable", enable, has_quiet=True),
    Command("remove", remove, has_quiet=True),
)
