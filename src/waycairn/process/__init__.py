"""Who am I, am I alive, who holds a run, was I asked to stop, how was I started."""

from waycairn.process.actor import acting, current_account, current_actor
from waycairn.process.begun import new_root
from waycairn.process.files import FileOwnership
from waycairn.process.identity import current_owner, is_dead, is_here, send_signal
from waycairn.process.launch import current_launch
from waycairn.process.leases import LeaseOwnership
from waycairn.process.signals import SignalGate, interruption

__all__ = [
    "FileOwnership",
    "LeaseOwnership",
    "SignalGate",
    "acting",
    "current_account",
    "current_actor",
    "current_launch",
    "current_owner",
    "interruption",
    "is_dead",
    "is_here",
    "new_root",
    "send_signal",
]
