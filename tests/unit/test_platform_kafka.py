"""The id of a new Kafka cluster: one that its own tool takes."""

from uuid import UUID

from cli.local.kafka import cluster_id


def test_an_id_never_looks_like_an_option() -> None:
    """One start in 64 failed on an empty folder."""
    hyphen = UUID(bytes=bytes([0xF8]) + bytes(15))
    assert cluster_id(hyphen) == "AAAAAAAAAAAAAAAAAAAAAA"
    plain = UUID(bytes=bytes([0xFB]) * 16)
    assert cluster_id(plain) == "-_v7-_v7-_v7-_v7-_v7-w".replace("-", "A", 1)
    assert cluster_id(UUID(int=1)) == "AAAAAAAAAAAAAAAAAAAAAQ"
