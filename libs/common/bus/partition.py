"""Which partition a key belongs to: as every Kafka client decides it (murmur2), only faster than aiokafka does."""

from functools import lru_cache
from struct import unpack_from

SEED, FACTOR, MASK = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


@lru_cache(maxsize=65_536)
def hashed(key: bytes) -> int:
    """The hash of a key, 31 bits: Kafka's `toPositive(murmur2(key))`."""
    whole, rest = divmod(len(key), 4)
    found = SEED ^ len(key)
    for word in unpack_from(f"<{whole}I", key):
        mixed = word * FACTOR & MASK
        found = (found * FACTOR & MASK) ^ ((mixed ^ mixed >> 24) * FACTOR & MASK)
    if rest:
        found = (found ^ int.from_bytes(key[-rest:], "little")) * FACTOR & MASK
    found = (found ^ found >> 13) * FACTOR & MASK
    return (found ^ found >> 15) & 0x7FFFFFFF
