"""The scenario language, version 1: `model` what it says, `parse` from YAML, `match` conditions, `times`
waits and windows."""
