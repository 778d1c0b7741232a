"""Who am I, am I alive, who holds a run, was I asked to stop, how was I started."""

from waycairn.process.actor import acting, current_actor
from waycairn.process.files import FileOwnership
from waycairn.process.identity import current_owner, is_dead
from waycairn.process.launch import current_launch
from waycairn.process.leases import LeaseOwnership
from waycairn.process.signals import SignalGate, grace, interruption

__all__ = [
    "FileOwnership",
    "LeaseOwnership",
    "SignalGate",
    "acting",
    "current_actor",
    "current_launch",
    "current_owner",
    "grace",
    "interruption",
    "is_dead",
]
