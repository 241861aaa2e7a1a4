"""A bare FastAPI endpoint over aiokafka: decode, produce, await every acknowledgement. `endpoint BOOTSTRAP PORT`.

The same server, loop and number of workers (one) as ingest, and the same durability: idempotent, acks=all.
"""

import asyncio
import sys
from typing import Any

import msgspec
import uvicorn
import uvloop
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request

TOPIC = "bench.endpoint"


async def serve(bootstrap: str, port: int) -> None:
    """Answer until stopped."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all")
    await producer.start()
    app = FastAPI()

    @app.post("/v1/events", status_code=202)
    async def events(request: Request) -> dict[str, int]:
        told: Any = msgspec.json.decode(await request.body())
        batch = told if isinstance(told, list) else [told]
        sent = [
            await producer.send(TOPIC, msgspec.json.encode(event), key=event["data"]["user_id"].encode())
            for event in batch
        ]
        await asyncio.gather(*sent)
        return {"accepted": len(batch)}

    try:
        config = uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off")
        await uvicorn.Server(config).serve()
    finally:
        await producer.stop()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
