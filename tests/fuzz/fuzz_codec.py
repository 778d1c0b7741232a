"""atheris target: python tests/fuzz/fuzz_codec.py tests/fuzz/corpus -max_total_time=60

Coverage-guided over the decoder. What it finds goes to tests/fuzz/corpus as a small file and is run by every test run
from then on (tests/unit/test_codec_damage.py).
"""

import sys

try:
    import atheris
except ImportError:
    print("skipped: atheris is not installed (it is no dependency; install it to fuzz)")
    raise SystemExit(0) from None

with atheris.instrument_imports(include=["waycairn.codec"]):
    from codec_target import decode_anything


def main() -> None:
    atheris.Setup(sys.argv, decode_anything)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
