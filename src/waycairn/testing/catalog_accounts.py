"""Contract: those who use a server."""

from __future__ import annotations

import threading
from contextlib import closing
from functools import partial
from typing import Any

from msgspec import structs

from waycairn.catalog import open_catalog
from waycairn.model.accounts import Account, AccountId, Login, Role, Token, TokenId
from waycairn.ports import Catalog
from waycairn.testing.catalog_case import CatalogCase
from waycairn.testing.records import NOW

ADA, OLGA = AccountId("ada-id"), AccountId("olga-id")


def an_account(id_: AccountId = ADA, name: str = "ada", role: Role = Role.ADMIN, **given: Any) -> Account:
    facts: dict[str, Any] = {"password": "$argon2id$v=19$m=8,t=1,p=1$AA$AA", "created": NOW, "updated": NOW}
    return Account(id=id_, name=name, role=role, **{**facts, **given})


def a_token(id_: str = "t1", account: AccountId = ADA, **given: Any) -> Token:
    facts: dict[str, Any] = {
        "name": "nightly",
        "digest": id_.encode() * 16,
        "scopes": (Role.VIEWER, Role.OPERATOR),
        "created": NOW,
        "expires": NOW + 100,
    }
    return Token(id=TokenId(id_), account=account, **{**facts, **given})


def a_login(mark: bytes = b"l", account: AccountId = ADA, **given: Any) -> Login:
    facts: dict[str, Any] = {"created": NOW, "seen": NOW, "expires": NOW + 100}
    return Login(digest=mark * 32, account=account, **{**facts, **given})


class AccountContract(CatalogCase):
    def test_accounts_come_back_as_they_were(self, catalog: Catalog) -> None:
        """By name, by id, and in the order of their names; NULL stays None."""
        ada, olga = an_account(), an_account(OLGA, "olga", Role.OPERATOR, password=None, disabled=NOW, seen=NOW + 1)
        assert catalog.add_account(olga)
        assert catalog.add_account(ada)
        assert catalog.list_accounts() == [ada, olga]
        assert catalog.find_account("olga") == catalog.get_account(OLGA) == olga
        assert catalog.find_account("Olga") is catalog.get_account(AccountId("nobody")) is None

    def test_a_name_is_taken_once(self, catalog: Catalog) -> None:
        """The first one keeps it."""
        assert catalog.add_account(an_account())
        assert not catalog.add_account(an_account(OLGA, "ada", Role.VIEWER))
        assert catalog.list_accounts() == [an_account()]

    def test_an_account_changes(self, catalog: Catalog) -> None:
        """The columns that are given, and when."""
        catalog.add_account(an_account())
        catalog.add_account(an_account(OLGA, "olga", Role.VIEWER))
        assert catalog.change_account(OLGA, NOW + 5, role=Role.ADMIN, disabled=NOW + 5)
        expected = an_account(OLGA, "olga", Role.ADMIN, disabled=NOW + 5, updated=NOW + 5)
        assert catalog.get_account(OLGA) == expected
        assert catalog.change_account(OLGA, NOW + 6, disabled=None, password=None, seen=NOW + 6)
        expected = structs.replace(expected, disabled=None, password=None, seen=NOW + 6, updated=NOW + 6)
        assert catalog.get_account(OLGA) == expected
        assert catalog.get_account(ADA) == an_account()
        assert not catalog.change_account(AccountId("nobody"), NOW, role=Role.VIEWER)

    def test_the_last_admin_stays(self, catalog: Catalog) -> None:
        """Neither role nor being disabled nor removal takes it away; one who is disabled does not count, and who is none may
        change."""
        catalog.add_account(an_account())
        catalog.add_account(an_account(OLGA, "olga", disabled=NOW))
        for change in ({"role": Role.OPERATOR}, {"disabled": NOW + 1}):
            assert not catalog.change_account(ADA, NOW + 1, **change)
        assert not catalog.remove_account(ADA)
        assert catalog.get_account(ADA) == an_account()
        assert catalog.change_account(ADA, NOW, role=Role.ADMIN, password="other", disabled=None)  # noqa: S106
        assert catalog.change_account(OLGA, NOW, role=Role.VIEWER)
        assert catalog.change_account(OLGA, NOW, role=Role.ADMIN, disabled=None)
        assert catalog.remove_account(ADA)
        assert not catalog.remove_account(OLGA)

    def test_two_admins_do_not_take_each_other_away(self, catalog: Catalog, address: str) -> None:
        """At the same moment, from two processes, each believing that the other stays: one of them does."""
        with closing(open_catalog(address)) as elsewhere:
            for number in range(8):
                pair = [AccountId(f"{word}{number}") for word in ("one", "other")]
                for id_ in pair:
                    assert catalog.add_account(an_account(id_, str(id_)))
                for left in catalog.list_accounts():
                    if left.id not in pair:
                        catalog.remove_account(left.id)
                _at_once(
                    partial(catalog.change_account, pair[0], NOW, role=Role.VIEWER),
                    partial(elsewhere.change_account, pair[1], NOW, disabled=NOW),
                )
                acting = [one for one in catalog.list_accounts() if one.role is Role.ADMIN and one.disabled is None]
                assert len(acting) == 1

    def test_who_goes_takes_its_passes_along(self, catalog: Catalog) -> None:
        """Tokens and logins of the account, and of no other."""
        catalog.add_account(an_account())
        catalog.add_account(an_account(OLGA, "olga"))
        for account, mark in ((ADA, "a"), (OLGA, "b")):
            catalog.add_token(a_token(mark, account))
            catalog.add_login(a_login(mark.encode(), account))
        assert catalog.remove_account(ADA)
        assert not catalog.remove_account(ADA)
        assert catalog.list_tokens() == [a_token("b", OLGA)]
        assert catalog.find_login(b"a" * 32) is None
        assert catalog.find_login(b"b" * 32) == a_login(b"b", OLGA)

    def test_tokens_come_back_as_they_were(self, catalog: Catalog) -> None:
        """Newest first, of one account or of all; found by the hash."""
        catalog.add_account(an_account())
        catalog.add_account(an_account(OLGA, "olga"))
        old, new = a_token("old"), a_token("new", created=NOW + 1, expires=None, scopes=())
        others = a_token("others", OLGA, created=NOW + 2)
        for token in (old, others, new):
            catalog.add_token(token)
        assert catalog.list_tokens(ADA) == [new, old]
        assert catalog.list_tokens() == [others, new, old]
        assert catalog.find_token(new.digest) == new
        assert catalog.find_token(b"?" * 32) is None
        assert catalog.remove_token(old.id)
        assert not catalog.remove_token(old.id)
        assert catalog.list_tokens(ADA) == [new]

    def test_use_is_noted_once_a_minute(self, catalog: Catalog) -> None:
        """The first time, and then when the last note is older; a login lasts longer by it."""
        catalog.add_account(an_account())
        catalog.add_token(a_token())
        catalog.add_login(a_login())
        token, login = a_token().digest, a_login().digest
        for now, used, seen, expires in (
            (NOW + 10, NOW + 10, NOW, NOW + 100),
            (NOW + 61, NOW + 10, NOW + 61, NOW + 161),
            (NOW + 71, NOW + 71, NOW + 61, NOW + 161),
        ):
            catalog.use_token(token, now)
            catalog.use_login(login, now, now + 100)
            assert catalog.find_token(token) == a_token(used=used)
            assert catalog.find_login(login) == a_login(seen=seen, expires=expires)

    def test_logins_end(self, catalog: Catalog) -> None:
        """One that is removed; those that are over, when the next one begins."""
        catalog.add_account(an_account())
        catalog.add_login(a_login(b"1", expires=NOW + 1))
        catalog.add_login(a_login(b"2"))
        assert catalog.find_login(b"1" * 32) is not None
        catalog.add_login(a_login(b"3", created=NOW + 1))
        assert catalog.find_login(b"1" * 32) is None
        assert catalog.remove_login(b"2" * 32)
        assert not catalog.remove_login(b"2" * 32)
        assert catalog.find_login(b"3" * 32) is not None

    def test_another_password_ends_the_other_logins(self, catalog: Catalog) -> None:
        """Being disabled ends all; nothing else does, nor for anybody else."""
        catalog.add_account(an_account())
        catalog.add_account(an_account(OLGA, "olga"))
        marks = (b"1", b"2", b"3")
        for mark, account in zip(marks, (ADA, ADA, OLGA), strict=True):
            catalog.add_login(a_login(mark, account))

        def there() -> list[bool]:
            return [catalog.find_login(mark * 32) is not None for mark in marks]

        catalog.change_account(ADA, NOW, role=Role.ADMIN, seen=NOW, disabled=None)
        assert there() == [True, True, True]
        catalog.change_account(ADA, NOW, keep=b"2" * 32, password="another")  # noqa: S106
        assert there() == [False, True, True]
        assert catalog.change_account(ADA, NOW, disabled=NOW)
        assert there() == [False, False, True]
        assert not catalog.change_account(OLGA, NOW, disabled=NOW)
        assert there() == [False, False, True]


def _at_once(*calls: Any) -> None:
    """In a thread each, beginning together."""
    ready = threading.Barrier(len(calls))

    def begin(call: Any) -> None:
        ready.wait()
        call()

    threads = [threading.Thread(target=begin, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
