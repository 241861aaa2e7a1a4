"""Kafka: the only aiokafka (`kafka.py`), the unit of work (`apply.py`), the one consumer loop (`consumer.py`)."""
