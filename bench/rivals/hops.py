"""One hop of a bare relay: consume, produce the same bytes, await the acknowledgement. `hops BOOTSTRAP FROM TO`.

No state, no commit of its own, no repeats noticed: what a path through Kafka costs at the least.
"""

import asyncio
import sys

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

TOPICS = ("bench.hop.1", "bench.hop.2", "bench.hop.3")


async def relay(bootstrap: str, source: str, target: str) -> None:
    """Pass on until stopped."""
    consumer = AIOKafkaConsumer(source, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    await consumer.start()
    try:
        while True:
            polled = await consumer.getmany(timeout_ms=500, max_records=2_000)
            sent = [
                await producer.send(target, record.value, key=record.key)
                for records in polled.values()
                for record in records
            ]
            await asyncio.gather(*sent)
    finally:
        await consumer.stop()
        await producer.stop()


if __name__ == "__main__":
    uvloop.run(relay(*sys.argv[1:4]))
