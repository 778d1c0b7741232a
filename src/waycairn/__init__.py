"""waycairn: stop a long-running job at any instant and go on from exactly where it was."""
