"""What a short script pays: `import waycairn`, and a first save in a new store, each in a fresh interpreter."""

import subprocess
import sys

from measuring import arguments, median, report, scratch

IMPORT = "import time; t = time.perf_counter(); import waycairn; print(time.perf_counter() - t)"
SAVE = (
    "import time; t = time.perf_counter(); import waycairn as wc; "
    "s = wc.open({place!r}); s.save('cursor', {{'page': 7}}); print(time.perf_counter() - t)"
)


def seconds(code: str) -> float:
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    rounds = max(5, arguments().rounds)
    report(
        "coldstart",
        import_ms=round(1e3 * median([seconds(IMPORT) for _ in range(rounds)])),
        first_save_ms=round(
            1e3 * median([seconds(SAVE.format(place=str(scratch(f"cold-{n}") / "store"))) for n in range(rounds)])
        ),
    )


if __name__ == "__main__":
    main()
