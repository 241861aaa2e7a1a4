"""What is wrong with a scenario's folder: `check` the whole of it, `steps` scenario.yaml, `messages` its messages."""
