"""A bare aiokafka loop: the same bytes, decoded with msgspec, an entry in a dict. `loop BOOTSTRAP WARM COUNT`."""

import json
import sys
import time

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer

from libs.contracts import topics
from libs.contracts.events import EventOccurred


async def measure(bootstrap: str, warm: int, count: int) -> dict[str, float]:
    """Read `warm` events, then measure `count`: wall and CPU seconds of this process."""
    consumer = AIOKafkaConsumer(
        topics.EVENTS.name,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    decoder = msgspec.json.Decoder(EventOccurred)
    state: dict[str, EventOccurred] = {}
    done = 0
    begun: tuple[int, float, float] | None = None
    await consumer.start()
    try:
        while done < warm + count:
            polled = await consumer.getmany(timeout_ms=500, max_records=5_000)
            for records in polled.values():
                for record in records:
                    event = decoder.decode(record.value)
                    state[event.profile] = event
                done += len(records)
            if begun is None and done >= warm:
                begun = (done, time.perf_counter(), time.process_time())
        assert begun is not None
        first, wall, cpu = begun
        return {"events": done - first, "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    finally:
        await consumer.stop()


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
