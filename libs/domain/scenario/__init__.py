"""The scenario language, version 1: `model` what it says, `parse` from YAML, `check` lint, `match` conditions,
`times` waits and windows."""
