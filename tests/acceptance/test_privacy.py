"""I1: after all that, no address is anywhere but where it may be; no first name in a log."""

import re
from collections.abc import Iterable

import asyncpg
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from tests.acceptance.stories import Stories
from tests.support.running import Running
from tests.support.shop import DOMAIN, ZONE

ADDRESS = re.compile(rb"(@|%40)" + re.escape(DOMAIN.encode()) + rb"|hostile-\d+(@|%40)evil\.example")
WITH_ADDRESSES = ("kurant.contacts.v1", "kurant.inbox.v1")
"""Topics that carry what a shop told, by their purpose; and their quarantines."""
FIRST_NAMES = re.compile(rb"[A-Z][A-Za-z0-9]+mira\b")


def found(content: bytes) -> list[bytes]:
    """The addresses in some bytes, whatever their case and escaping, each with what stands around it."""
    lower = content.lower()
    return [lower[max(0, one.start() - 60) : one.end() + 20] for one in ADDRESS.finditer(lower)]


@pytest.fixture(scope="module")
def settled(platform: Running, stories: Stories) -> Running:
    platform.settled(60)
    return platform


def test_no_log_file_holds_an_address_or_a_name(settled: Running) -> None:
    files = sorted((settled.data / "logs").iterdir())
    assert {"ingest.log", "rules.log", "dispatch.log", "consent.log", "postgres.log"} <= {file.name for file in files}
    for file in [*files, settled.output()]:
        content = file.read_bytes()
        assert found(content) == [], file.name
        assert FIRST_NAMES.findall(content) == [], file.name
        assert b"203.0.113." not in content, f"{file.name} holds a customer's IP address"


async def records(platform: Running) -> dict[str, list[bytes]]:
    """Everything in every topic of ours: key, value and headers of each record as one run of bytes."""
    bootstrap = f"127.0.0.1:{platform.ports.kafka}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics()
    finally:
        await admin.close()
    ours = {row["topic"]: row["partitions"] for row in described if row["topic"].startswith("kurant.")}
    read: dict[str, list[bytes]] = {name: [] for name in ours}
    parts = [TopicPartition(name, one["partition"]) for name, partitions in ours.items() for one in partitions]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, max_partition_fetch_bytes=2**24)
    await consumer.start()
    try:
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for part, batch in (await consumer.getmany(timeout_ms=500)).items():
                read[part.topic] += [_bytes(record) for record in batch]
        return read
    finally:
        await consumer.stop()


def _bytes(record: object) -> bytes:
    key, value, headers = (getattr(record, name) for name in ("key", "value", "headers"))
    return b"\n".join([key or b"", value or b"", *(name.encode() + b": " + (told or b"") for name, told in headers)])


async def test_no_topic_but_contacts_carries_an_address(settled: Running) -> None:
    read = await records(settled)
    assert {"kurant.events.v1", "kurant.contacts.v1", "kurant.messages.v1", "kurant.deliveries.v1"} <= read.keys()
    for topic, contents in read.items():
        if topic.startswith(WITH_ADDRESSES):
            continue
        assert [one for content in contents for one in found(content)] == [], topic
    assert any(found(content) for content in read["kurant.contacts.v1"]), "this test looks at the wrong addresses"
    assert len(read["kurant.events.v1"]) > 40


async def tables(connection: asyncpg.Connection) -> Iterable[str]:
    rows = await connection.fetch(
        "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables "
        "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"
    )
    return sorted(row["name"] for row in rows)


async def test_no_table_holds_an_address_in_the_clear(settled: Running) -> None:
    """Nowhere: consent keeps them encrypted, ingest and the rest only keyed hashes or nothing."""
    url = yaml.safe_load((settled.data / "platform.yaml").read_text())["postgres"]
    connection = await asyncpg.connect(url)
    seen = 0
    try:
        names = list(await tables(connection))
        assert {name.split(".")[0] for name in names} >= {"ingest", "consent", "rules", "scheduler", "dispatch"}
        for name in names:
            for row in await connection.fetch(f"SELECT * FROM {name}"):
                seen += 1
                for column, value in row.items():
                    content = value if isinstance(value, bytes) else str(value).encode()
                    assert found(content) == [], f"{name}.{column}"
    finally:
        await connection.close()
    assert seen > 100


async def test_the_time_zone_of_a_customer_is_there_to_be_seen(settled: Running) -> None:
    """The scan above would see what is written in documents: it finds what may be there."""
    url = yaml.safe_load((settled.data / "platform.yaml").read_text())["postgres"]
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT document FROM rules.profile")
    finally:
        await connection.close()
    assert any(ZONE.encode() in row["document"] for row in rows)
