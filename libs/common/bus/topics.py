"""`python -m libs.common.bus.topics`: create the topics of `libs/contracts/topics.py` that are missing."""

import asyncio
import logging
import sys

from libs.common.bus.kafka import create_topics
from libs.common.errors import Misconfigured, Unavailable
from libs.common.settings import load
from libs.contracts import topics


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it could not do is told once, by us
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
    except Misconfigured as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's own output
        return 2
    except Unavailable as error:
        told = f"{error}: start Kafka at {settings.kafka_bootstrap}, or set KURANT_KAFKA_BOOTSTRAP"
        print(told, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
