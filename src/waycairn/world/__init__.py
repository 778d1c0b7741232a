"""The only way out: clock, files, randomness and crash points, so that time and faults can be injected."""
