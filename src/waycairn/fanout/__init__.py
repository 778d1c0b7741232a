"""Executors: the same calls made by threads, by processes, or by tasks of an event loop."""

from waycairn.fanout.flights import PROVEN, FlightLog
from waycairn.fanout.inbox import Inbox
from waycairn.fanout.processes import ProcessExecutor
from waycairn.fanout.tasks import TaskExecutor
from waycairn.fanout.threads import ThreadExecutor

__all__ = ["PROVEN", "FlightLog", "Inbox", "ProcessExecutor", "TaskExecutor", "ThreadExecutor"]
