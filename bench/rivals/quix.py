"""Quix Streams, one stateful count per profile (RocksDB and a changelog topic). `quix BOOTSTRAP TOPIC WARM COUNT`.

It is none of Kurant's dependencies: it runs on a Python of its own, and imports nothing of ours.
"""

import json
import sys
import tempfile
import time
import uuid
from typing import Any

from quixstreams import Application, State  # type: ignore[import-not-found]


def measure(bootstrap: str, topic: str, warm: int, count: int) -> dict[str, float]:
    """Count `warm` events, then measure `count`: wall and CPU seconds of this process."""
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"bench-{uuid.uuid4().hex[:8]}",
        auto_offset_reset="earliest",
        state_dir=tempfile.mkdtemp(prefix="kurant-bench-quix-"),
        loglevel="WARNING",
    )
    done = 0
    begun = (0.0, 0.0)
    found: dict[str, float] = {}

    def one_more(_: Any, state: State) -> None:
        nonlocal done, begun
        state.set("count", state.get("count", 0) + 1)
        done += 1
        if done == warm:
            begun = (time.perf_counter(), time.process_time())
        elif done == warm + count:
            wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
            found.update(events=count, wall=wall, cpu=cpu)
            app.stop()

    events = app.topic(topic, key_deserializer="str", value_deserializer="json")
    app.dataframe(events).apply(one_more, stateful=True)
    app.run()
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
