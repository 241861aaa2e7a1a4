"""The wire: what travels on Kafka, and in which shape. Begin with `topics.py`."""
