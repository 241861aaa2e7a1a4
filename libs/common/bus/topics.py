"""`python -m libs.common.bus.topics`: create the topics of `libs/contracts/topics.py` that are missing."""

import asyncio
import sys

from libs.common.bus.kafka import create_topics
from libs.common.errors import Misconfigured, Unavailable
from libs.common.settings import load
from libs.contracts import topics


def main() -> int:
    try:
        settings = load()
        asyncio.run(
            create_topics(
                settings.kafka_bootstrap,
                topics.ALL,
                partitions=settings.partitions or topics.PARTITIONS,
                replication=settings.replication,
            )
        )
    except (Misconfigured, Unavailable) as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's own output
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
