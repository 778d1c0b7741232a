"""Asked once, asked twice: real processes, real signals, real exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from waycairn.errors import Interrupted
from waycairn.process import SignalGate, interruption

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # forks are the subject

JOB = """
import sys, time, signal, os
from waycairn.process import SignalGate, interruption
gate = SignalGate()
with gate:
    print("open", flush=True)
    while not gate.received:
        time.sleep(0.01)
    raise interruption(gate.received, "nightly")
"""

DEAF = """
import sys, time, signal, os
from waycairn.process import SignalGate
with SignalGate() as gate:
    print("open", flush=True)
    while True:
        time.sleep(0.01)
        if gate.received:
            print("asked", flush=True)
            break
    time.sleep(60)
"""


def start(code: str, *more: str) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, *(more or ("-c", code))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "open\n"
    return process


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    """What is left of its output: not by communicate(), which loses what readline() has buffered."""
    with process:
        out, err = process.stdout.read(), process.stderr.read()
        return process.wait(10), out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interrupted_job_ends_with_the_code_of_its_signal(number, code):
    """One line on stderr, no traceback, 143 or 130."""
    process = start(JOB)
    process.send_signal(number)
    returncode, _, err = finish(process)
    assert returncode == code
    assert err == (
        f"waycairn: run 'nightly' was stopped by {number.name}; its cut was taken, nothing is lost. "
        "Run the job again to go on from it.\n"
    )


def test_the_code_holds_for_a_script_a_module_and_asyncio(tmp_path):
    """`python job.py`, `python -m job` and a job inside asyncio.run end alike, after their atexit handlers."""
    body = JOB.replace("gate = ", "import atexit; atexit.register(lambda: print('swept', flush=True))\ngate = ")
    (tmp_path / "job.py").write_text(body)
    (tmp_path / "ajob.py").write_text(
        body.replace("time.sleep(0.01)", "await asyncio.sleep(0.01)")
        .replace("with gate:", "import asyncio\nasync def main():\n  with gate:")
        .replace("\n    ", "\n      ")
        + "asyncio.run(main())\n"
    )
    for command in ([str(tmp_path / "job.py")], [str(tmp_path / "ajob.py")], ["-m", "job"]):
        process = subprocess.Popen(
            [sys.executable, *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "open\n"
        process.send_signal(signal.SIGTERM)
        returncode, out, err = finish(process)
        assert (returncode, out) == (143, "swept\n"), (command, err)
        assert len(err.splitlines()) == 1


def test_other_exceptions_keep_their_hook():
    """The hook answers for Interrupted alone; the program's own hook gets the rest, and is called once."""
    code = """
import sys
from waycairn.process import interruption
sys.excepthook = lambda kind, error, trace: print("mine", error)
interruption(15, "a"); interruption(15, "b")
print("open", flush=True)
raise ValueError("other")
"""
    returncode, out, err = finish(start(code))
    assert (returncode, out, err) == (1, "mine other\n", "")


def test_a_second_sigterm_kills_at_once():
    """The default action of SIGTERM happens: the process dies of the signal."""
    process = start(DEAF)
    process.terminate()
    assert process.stdout.readline() == "asked\n"
    process.terminate()
    assert finish(process)[0] == -signal.SIGTERM


def test_a_second_sigint_raises_keyboard_interrupt():
    """Python's own handler gets the second SIGINT, so that Ctrl-C twice is what everybody expects."""
    process = start(DEAF)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    returncode, _, err = finish(process)
    assert returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in err


def test_sigterm_then_sigint_also_acts():
    """The second signal may be another one."""
    process = start(DEAF)
    process.terminate()
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in finish(process)[2]


def test_a_second_signal_reaches_the_programs_own_handler():
    """A handler that was installed before acts on the second signal and not on the first."""
    own = "import signal, os\nsignal.signal(15, lambda *_: (print('own', flush=True), os._exit(7)))\n"
    process = start(own + DEAF)
    process.terminate()
    assert process.stdout.readline() == "asked\n"
    process.terminate()
    assert finish(process)[:2] == (7, "own\n")


def test_gates_nest_and_put_the_former_handlers_back():
    """Handlers are ours from the first gate to the last, whatever order they close in."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    a, b = SignalGate(), SignalGate()
    a.__enter__()
    ours = signal.getsignal(signal.SIGTERM)
    assert ours not in before
    b.__enter__()
    a.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGTERM) == ours
    signal.raise_signal(signal.SIGTERM)
    assert (a.received, b.received) == (signal.SIGTERM, signal.SIGTERM)
    b.__exit__(None, None, None)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_new_gate_forgets_the_old_signal():
    """A signal belongs to the runs that were open when it came."""
    with SignalGate() as gate:
        signal.raise_signal(signal.SIGINT)
        assert gate.received == signal.SIGINT
    with SignalGate() as gate:
        assert gate.received is None


def test_a_handler_installed_meanwhile_stays():
    """What the job itself installed while a gate was open is not taken away from it."""

    def mine(*_):
        pass

    before = signal.getsignal(signal.SIGTERM)
    try:
        with SignalGate():
            signal.signal(signal.SIGTERM, mine)
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_ignored_signal_stays_ignored():
    """A shell starts background jobs with SIGINT ignored; that is the user's will."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with SignalGate() as gate:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
            assert gate.received is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_gate_of_another_thread_installs_nothing():
    """Python allows handlers in the main thread only; a gate elsewhere sees what a main gate receives."""
    seen, opened, go = [], threading.Event(), threading.Event()

    def work():
        with SignalGate() as gate:
            opened.set()
            go.wait(5)
            seen.append(gate.received)

    before = signal.getsignal(signal.SIGTERM)
    with SignalGate():
        thread = threading.Thread(target=work)
        thread.start()
        opened.wait(5)
        signal.raise_signal(signal.SIGTERM)
        go.set()
        thread.join()
    assert seen == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_gate_closed_by_another_thread_passes_signals_on():
    """The handler cannot be taken off there, so it hands the next signal to the former one."""
    got = []
    before = signal.signal(signal.SIGTERM, lambda *_: got.append("own"))
    try:
        gate = SignalGate()
        gate.__enter__()
        thread = threading.Thread(target=gate.__exit__, args=(None, None, None))
        thread.start()
        thread.join()
        signal.raise_signal(signal.SIGTERM)
        time.sleep(0)
        assert got == ["own"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_forked_child_has_the_former_handlers():
    """SIGTERM ends a worker of the job at once: the gate is the owner's."""
    with SignalGate() as gate:
        pid = os.fork()
        if pid == 0:
            signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
        assert gate.received is None


def test_a_gate_that_a_child_inherited_counts_nothing_there():
    """The child leaves the parent's gate and opens its own: that one works."""
    gate = SignalGate()
    gate.__enter__()
    pid = os.fork()
    if pid == 0:
        gate.__exit__(None, None, None)
        with SignalGate() as own:
            signal.raise_signal(signal.SIGTERM)
            os._exit(0 if own.received == signal.SIGTERM else 1)
    gate.__exit__(None, None, None)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_interruption_carries_facts():
    """Programs read attributes, people read the text."""
    hook = sys.excepthook
    try:
        error = interruption(signal.SIGTERM, "nightly")
    finally:
        sys.excepthook = hook
    assert isinstance(error, Interrupted)
    assert (error.signal, error.code, error.run) == (15, 143, "nightly")
