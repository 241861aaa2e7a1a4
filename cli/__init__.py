"""The `kurant` command: talks HTTP to a platform, and runs one on this machine."""
