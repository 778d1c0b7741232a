"""The `waycairn` command. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import sys

from waycairn import __version__

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and leave with its exit code."""
    if sys.argv[1:] == ["--version"]:
        # Asked for by scripts and bug reports: it need not load the command line first (0.2 s).
        sys.stdout.write(f"waycairn {__version__}\n")
        return
    from waycairn.cli.app import run

    raise SystemExit(run())
