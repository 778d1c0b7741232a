"""Growing files, read line by line into a database: where every file is, by what it is known again, what was not usable.

stream       a set of growing files that one run follows into one sink
generation   one life of one file: from its first byte until it is rotated away, truncated or replaced
offset       the byte after the last consumed newline of a generation (of its decompressed bytes, if it is compressed)
mark         a hash of a few bytes at a known place, by which a file is known again
portion      consecutive lines of one generation; what was read in one turn is one or more portions
dead letter  a line that could not be used, kept with its reason and its place
ledger       the tables in which a stream remembers all this, in the database of its sink

Nothing here knows runs: `work.following` brings both together.
"""
