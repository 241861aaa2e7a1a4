"""A stock Faust agent that counts events per profile in a memory table. `stock_faust BOOTSTRAP WARM COUNT`."""

import asyncio
import json
import sys
import time
import uuid
from typing import Any

import faust
import uvloop

from libs.contracts import topics


async def measure(bootstrap: str, warm: int, count: int) -> dict[str, float]:
    """Count `warm` events, then measure `count`: wall and CPU seconds of this process."""
    app = faust.App(
        f"bench-{uuid.uuid4().hex[:8]}", broker=f"kafka://{bootstrap}", store="memory://", web_enabled=False
    )
    counts = app.Table("counts", default=int, partitions=topics.PARTITIONS)
    finished: asyncio.Future[dict[str, float]] = asyncio.get_running_loop().create_future()

    async def agent(stream: Any) -> None:
        done = 0
        begun = (0.0, 0.0)
        async for event in stream:
            counts[event["profile"]] += 1
            done += 1
            if done == warm:
                begun = (time.perf_counter(), time.process_time())
            elif done == warm + count and not finished.done():
                wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
                finished.set_result({"events": count, "wall": wall, "cpu": cpu})

    app.agent(app.topic(topics.EVENTS.name, value_serializer="json"))(agent)
    await app.start()
    try:
        return await asyncio.wait_for(finished, 240)
    finally:
        await app.stop()


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
