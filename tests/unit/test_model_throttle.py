"""What is told again, and what is held back."""

from waycairn.model.throttle import Throttle


def test_the_same_is_told_once_in_a_while():
    """Then again, with how often it was held back; another thing has a time of its own."""
    throttle = Throttle(60.0)
    assert throttle.admit("disk", 1000.0)
    assert throttle.released("disk") == 0
    assert not throttle.admit("disk", 1010.0)
    assert not throttle.admit("disk", 1059.9)
    assert throttle.admit("damage", 1020.0)
    assert throttle.admit("disk", 1060.0)
    assert throttle.released("disk") == 2
    assert throttle.released("disk") == 0


def test_what_was_held_back_and_is_over_is_told_in_a_digest():
    """Once, when its time is over; and then it can be told anew."""
    throttle = Throttle(60.0)
    throttle.admit("disk", 1000.0)
    for at in (1010.0, 1020.0, 1030.0):
        throttle.admit("disk", at)
    assert throttle.digest(1059.0) == {}
    assert throttle.digest(1061.0) == {"disk": 3}
    assert throttle.digest(1062.0) == {}
    assert throttle.told == {}
    assert throttle.admit("disk", 1063.0)


def test_it_is_remembered_by_what_it_says():
    """A process that comes later goes on where another one was; a clock that was set back holds nothing back."""
    first = Throttle(60.0)
    first.admit("disk", 1000.0)
    first.admit("disk", 1010.0)
    second = Throttle(60.0, first.told, first.held)
    assert not second.admit("disk", 1020.0)
    assert second.held == {"disk": 2}
    assert Throttle(60.0, {"disk": 5000.0}).admit("disk", 1020.0)


def test_no_window_holds_nothing_back():
    throttle = Throttle(0.0)
    assert throttle.admit("disk", 1000.0)
    assert throttle.admit("disk", 1000.0)
