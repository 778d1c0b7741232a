"""`python -m waycairn`: the same as the `waycairn` command."""

from waycairn.cli import main

main()
