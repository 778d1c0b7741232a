"""What the store holds as JSON values with stable keys: what `--json` prints, and what the server answers."""
