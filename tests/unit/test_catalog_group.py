"""Group commit: who leads, what is shared, and that nobody's failure is another's."""

import threading

import pytest

from waycairn.catalog.group import GroupCommit
from waycairn.errors import OwnershipLost


class Transactions:
    """Applies units one after the other and remembers how many were in each transaction; waits to be let go. `raises`
    holds what the first, second, ... transaction raises."""

    def __init__(self):
        self.sizes = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.raises = {}

    def apply(self, units):
        self.entered.set()
        assert self.gate.wait(10)
        self.sizes.append(len(units))
        if len(self.sizes) in self.raises:
            raise self.raises[len(self.sizes)]
        for unit in units:
            unit.attempt(None)
        for unit in units:
            unit.is_done = True


@pytest.fixture
def transactions():
    return Transactions()


@pytest.fixture
def group(transactions):
    return GroupCommit(transactions.apply)


class Callers:
    """Threads that hand in work, and what came of it."""

    def __init__(self, group):
        self.group = group
        self.outcomes = {}
        self.threads = []

    def hand_in(self, name, work):
        def run():
            try:
                self.outcomes[name] = self.group.submit(work)
            except BaseException as error:
                self.outcomes[name] = error

        thread = threading.Thread(target=run)
        self.threads.append(thread)
        thread.start()

    def waiting(self, count):
        for _ in range(1000):
            if len(self.group._waiting) == count:
                return
            threading.Event().wait(0.005)
        raise AssertionError(f"{count} were expected to wait")

    def join(self):
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def callers(group):
    return Callers(group)


def refuse(_session):
    raise OwnershipLost


def test_one_alone_gets_its_result(group, transactions):
    """No thread is started and nothing waits."""
    transactions.gate.set()
    assert group.submit(lambda _: 7) == 7
    assert transactions.sizes == [1]


def test_those_who_come_meanwhile_share_the_next_transaction(callers, transactions):
    """One transaction for the first, one for the nine that came while it ran; each gets its own result."""
    callers.hand_in("first", lambda _: "first")
    transactions.entered.wait(10)
    for number in range(9):
        callers.hand_in(number, lambda _, number=number: number)
    callers.waiting(9)
    transactions.gate.set()
    callers.join()
    assert transactions.sizes == [1, 9]
    assert callers.outcomes == {"first": "first", **{number: number for number in range(9)}}


def test_one_fails_and_the_others_do_not(callers, transactions):
    """A fenced unit raises in its own thread; those beside it are done."""
    callers.hand_in("first", lambda _: 0)
    transactions.entered.wait(10)
    callers.hand_in("good", lambda _: 1)
    callers.waiting(1)
    callers.hand_in("lost", refuse)
    callers.waiting(2)
    transactions.gate.set()
    callers.join()
    assert isinstance(callers.outcomes["lost"], OwnershipLost)
    assert callers.outcomes["good"] == 1


def test_a_failed_transaction_fails_everybody_in_it(callers, transactions):
    """A full disk is told to each of them, and the next transaction works."""
    callers.hand_in("first", lambda _: 0)
    transactions.entered.wait(10)
    callers.hand_in("a", lambda _: 1)
    callers.hand_in("b", lambda _: 2)
    callers.waiting(2)
    transactions.raises = {2: OSError("full")}
    transactions.gate.set()
    callers.join()
    assert callers.outcomes["first"] == 0
    assert {type(callers.outcomes[name]) for name in ("a", "b")} == {OSError}
    assert callers.group.submit(lambda _: 3) == 3


def test_an_interrupted_leader_leaves_the_others_work_to_the_next(callers, transactions):
    """Ctrl-C in the thread that leads four: it raises there, and the others' work is done by the next leader."""
    callers.hand_in("first", lambda _: "first")
    transactions.entered.wait(10)
    for number in range(4):
        callers.hand_in(number, lambda _, number=number: number)
        callers.waiting(number + 1)
    transactions.raises = {2: KeyboardInterrupt()}
    transactions.gate.set()
    callers.join()
    assert isinstance(callers.outcomes.pop(0), KeyboardInterrupt)
    assert callers.outcomes == {"first": "first", 1: 1, 2: 2, 3: 3}
    assert transactions.sizes == [1, 4, 3]
    assert callers.group._leader is None


def test_no_more_than_a_bounded_number_share(callers, transactions):
    """A hundred waiters take turns of at most 64."""
    callers.hand_in("first", lambda _: 0)
    transactions.entered.wait(10)
    for number in range(100):
        callers.hand_in(number, lambda _, number=number: number)
    callers.waiting(100)
    transactions.gate.set()
    callers.join()
    assert transactions.sizes == [1, 64, 36]


def test_a_lead_that_was_left_behind_is_taken_up_again(group, transactions):
    """A signal handler raised between two lines of submit: the same thread can still commit."""
    transactions.gate.set()
    group._leader = threading.get_ident()
    assert group.submit(lambda _: 1) == 1
