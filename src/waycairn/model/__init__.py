"""The words of waycairn as plain data. Pure: no I/O, no clock, no randomness."""
