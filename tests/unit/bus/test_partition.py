"""A key goes where every other Kafka client would send it."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from libs.common.bus.partition import hashed


@given(st.binary(max_size=80))
def test_a_key_is_hashed_as_kafka_does(key: bytes) -> None:
    assert hashed(key) == murmur2(key) & 0x7FFFFFFF
