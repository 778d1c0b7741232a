"""Many processes saving 10 KB states into one SQLite store at once, beside one process alone, in one run.

Prints JSON: errors, p50/p99/worst of a save, rates of the slowest and the fastest, total against one process.
Usage: python bench/many_processes.py [processes] [seconds]      BENCH_DIR=folder on the disk to measure
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import waycairn as wc


def a_state(number):
    """10 KB, new at every save."""
    return {"number": number, "page": os.urandom(10 * 1024)}


def worker(address, seconds):
    """Ready, wait for the start, save until the time is over, print every duration."""
    store = wc.open(address)
    name = f"state of {os.getpid()}"
    store.save(name, a_state(0))
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    time.sleep(max(0.0, start - time.time()))
    times, error, end = [], None, start + seconds
    while time.time() < end:
        begun = time.perf_counter()
        try:
            store.save(name, a_state(len(times) + 1))
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is a failed save, and is counted
            error = f"{type(failure).__name__}: {failure}"
            break
        times.append(time.perf_counter() - begun)
    # The end of 64 interpreters costs seconds of CPU: not before everybody has saved for the last time.
    print("done", flush=True)
    sys.stdin.readline()
    print(json.dumps({"times": times, "error": error}), flush=True)
    store.close()


def measure(folder, count, seconds):
    address = tempfile.mkdtemp(prefix=f"store-{count}-", dir=folder)
    wc.open(address).close()
    command = [sys.executable, __file__, "worker", address, str(seconds)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    for process in started:
        process.stdout.readline()
    start = time.time() + 0.5
    for process in started:
        process.stdin.write(f"{start}\n")
        process.stdin.flush()
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("end\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate()[0]) for process in started]
    times = sorted(duration for answer in answers for duration in answer["times"])
    counts = sorted(len(answer["times"]) for answer in answers)
    return {
        "processes": count,
        "errors": [answer["error"] for answer in answers if answer["error"]],
        "rate": round(len(times) / seconds),
        "p50_ms": round(statistics.median(times) * 1e3, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 2),
        "worst_ms": round(times[-1] * 1e3, 2),
        "slowest": counts[0],
        "fastest": counts[-1],
        "slowest_to_fastest": round(counts[0] / counts[-1], 2),
    }


def main(count, seconds):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        before = measure(folder, 1, seconds)
        many = measure(folder, count, seconds)
        after = measure(folder, 1, seconds)
    alone = (before["rate"] + after["rate"]) / 2
    print(json.dumps({"alone": [before, after], "many": many, "share": round(many["rate"] / alone, 2)}, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2], float(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 64, float(sys.argv[2]) if len(sys.argv) > 2 else 5.0)
