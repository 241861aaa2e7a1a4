"""The engine by itself, no Kafka, no database: `python -m bench.engine SCENARIOS [alone] [other] [mute] [profile]`.

Decodes, decides, publishes into a list and writes documents as rules does, for a customer after another. `alone`: one
real scenario, and conditions that are not met on the same event for the rest; `other`: the rest wait for other events;
`mute`: nothing is noted for `explain`, neither verdicts with what was found nor what became of steps.
"""

import cProfile
import gc
import json
import pstats
import sys
import time
from datetime import UTC, datetime, timedelta
from types import ModuleType

import psutil

from bench import load, many
from libs.common.bus.records import Record
from libs.common.runtime import COLLECT
from libs.domain.engine import acts, enter, events, run
from libs.domain.engine.registry import Registry
from libs.domain.engine.starters import Starters
from libs.domain.engine.state import Considered, Profile
from services.rules import handlers

CUSTOMERS, WARM, COUNT, BATCH = 2_000, 12_000, 8_000, 500
SHOWN, KEPT = 25, 5


def main() -> int:
    count, said = int(sys.argv[1]), sys.argv[2:]
    if "mute" in said:
        _mute()
    texts = many.texts(count, judged="other" not in said, real=1 if "alone" in said else len(many.REAL))
    live = many.registry(texts)
    gc.freeze()
    gc.set_threshold(*COLLECT)  # as the service has it
    begin = datetime.now(UTC) - timedelta(hours=3)
    told = list(many.records(load.events(load.customers(CUSTOMERS), WARM + COUNT, begin)))
    documents: dict[handlers.ProfileKey, bytes] = {}
    _work(told[:WARM], documents, live, begin)
    profiler = cProfile.Profile(time.process_time)
    if "profile" in said:
        profiler.enable()
    cpu = time.process_time()
    outputs = _work(told[WARM:], documents, live, begin)
    spent = time.process_time() - cpu
    profiler.disable()
    if "profile" in said:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(SHOWN)
    size = sum(map(len, documents.values())) / len(documents)
    found = {"events": COUNT, "cpu": spent, "document": size, "outputs": outputs / COUNT}
    print(json.dumps(found | {"memory": _memory(list(documents.values()))}))
    return 0


def _mute() -> None:
    """Take out all that only `explain` reads."""
    nothing = Considered(datetime.min.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), 0)
    silence: dict[ModuleType | type, dict[str, object]] = {
        Starters: {"considered": lambda *_: nothing},
        events: {"_keep": lambda *_: None, "judged": lambda *_, **__: None, "found": lambda *_: []},
        enter: {"judged": lambda *_, **__: None},
        run: {"trace": lambda *_: None},
        acts: {"trace": lambda *_: None},
    }
    for where, names in silence.items():
        for name, does in names.items():
            assert hasattr(where, name), f"{where} has no {name} any more"
            setattr(where, name, does)


def _memory(documents: list[bytes]) -> float:
    """Bytes that a profile takes in memory."""
    process = psutil.Process()
    before = process.memory_info().rss
    kept = [handlers.read(document) for _ in range(KEPT) for document in documents]
    return (process.memory_info().rss - before) / len(kept)


def _work(told: list[Record], documents: dict[handlers.ProfileKey, bytes], live: Registry, begin: datetime) -> int:
    """Batch after batch, each profile read from its document and written back; how many records come out."""
    outputs = 0
    for first in range(0, len(told), BATCH):
        good, _ = handlers.decode(told[first : first + BATCH])
        keys = {item.key for item in good}
        profiles = {key: handlers.read(documents[key]) if key in documents else Profile() for key in keys}
        decision = handlers.decide(good, profiles, live, lambda: begin + timedelta(hours=1))
        outputs += len(decision.outputs)
        documents |= {key: handlers.write(profile) for key, profile in profiles.items()}
    return outputs


if __name__ == "__main__":
    sys.exit(main())
