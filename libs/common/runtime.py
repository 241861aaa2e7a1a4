"""How a service lives: settings, secrets, database, producer; its tasks; a graceful end on SIGTERM.

A task that ends with an error ends the process (exit code 1): whoever started it starts it again, and the
state begins where the last commit left it. Better to crash than to stall.
"""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import uvicorn
import uvloop
from fastapi import FastAPI

from libs.common.bus.kafka import Producer
from libs.common.clock import Clock, pause
from libs.common.db import fingerprint
from libs.common.db.engine import Database
from libs.common.db.keys import KeyStore
from libs.common.errors import Misconfigured, Unavailable
from libs.common.http.auth import Gate
from libs.common.secrets import Secrets
from libs.common.settings import Settings, load
from libs.common.telemetry import log, trace

T = TypeVar("T")
logger = log.logger(__name__)
WAIT_AT_START = 120.0
"""Seconds for which a starting service waits for its database and its broker."""
KEEP_ALIVE = 75
"""Seconds for which an idle connection is kept: longer than clients do, so that none writes to a closed one."""
COLLECT = (100_000, 20, 100)
"""Thresholds of the garbage collector. Python's own cost rules a third of its CPU: what it caches is no garbage."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every composition root begins with."""

    settings: Settings
    secrets: Secrets
    clock: Clock
    database: Database
    producer: Producer
    gate: Gate
    stop: asyncio.Event


class _Stopped(Exception):
    """Asked to stop while starting."""


Task = Callable[[], Awaitable[None]]
Compose = Callable[[Parts], Awaitable[tuple[FastAPI, list[Task]]]]
"""Build the service: its HTTP application and the tasks that run until `parts.stop` is set."""


def main(service: str, compose: Compose, check: Callable[[Settings], object] = lambda settings: None) -> int:
    """Run a service until SIGTERM or SIGINT. Exit code 0 stopped, 1 crashed, 2 misconfigured.

    `check` reads the settings files of this service, so that a wrong one is told before anything is connected.
    """
    try:
        settings = load()
        secrets = Secrets.load(settings.secret_file)
        clock = settings.clock(time.time())
        check(settings)
    except Misconfigured as error:
        print(f"kurant {service}: {error}", file=sys.stderr)  # noqa: T201  # before logging is there
        return 2
    log.setup(service, json=settings.log_format == "json")
    trace.setup(service)
    code = 0
    try:
        uvloop.run(_run(service, settings, secrets, clock, compose))
    except* _Stopped:
        logger.info("stopped while starting")
    except* Misconfigured as group:
        print(f"kurant {service}: {group.exceptions[0]}", file=sys.stderr)  # noqa: T201
        code = 2
    except* Exception as group:
        logger.error("service ends", causes=[repr(error) for error in group.exceptions], exc_info=True)
        code = 1
    return code


async def _run(service: str, settings: Settings, secrets: Secrets, clock: Clock, compose: Compose) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _parts(service, settings, secrets, clock, stop) as parts:
        app, tasks = await compose(parts)
        gc.freeze()
        gc.set_threshold(*COLLECT)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=settings.http_host,
                port=settings.http_port,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=10,
            )
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(_serve(server, stop), name="http")
            for task in tasks:
                group.create_task(_until_stopped(task, stop), name=getattr(task, "__qualname__", "task"))


async def _serve(server: uvicorn.Server, stop: asyncio.Event) -> None:
    """uvicorn without its own signal handlers, so that the loops and the server stop together."""
    serving = asyncio.ensure_future(server._serve())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    stopping.cancel()
    try:
        await serving
    except SystemExit:
        raise Misconfigured(f"port {server.config.port} is taken: set KURANT_HTTP_PORT to another") from None
    stop.set()


async def _until_stopped(task: Task, stop: asyncio.Event) -> None:
    await task()
    if not stop.is_set():
        raise RuntimeError(f"{getattr(task, '__qualname__', task)} ended by itself")


@asynccontextmanager
async def _parts(
    service: str, settings: Settings, secrets: Secrets, clock: Clock, stop: asyncio.Event
) -> AsyncIterator[Parts]:
    database = await _patiently(lambda: Database.connect(settings.database_url, name=service), stop)
    try:
        await _patiently(lambda: fingerprint.compare(database, secrets, settings.secret_file), stop)
        producer = await _patiently(lambda: Producer.connect(settings.kafka_bootstrap, name=service), stop)
        try:
            yield Parts(
                settings=settings,
                secrets=secrets,
                clock=clock,
                database=database,
                producer=producer,
                gate=Gate(
                    service_key=secrets.service_key(),
                    keys=KeyStore(database),
                    local=settings.profile == "local",
                ),
                stop=stop,
            )
        finally:
            await producer.close()
    finally:
        await database.close()


async def _patiently(connect: Callable[[], Coroutine[Any, Any, T]], stop: asyncio.Event) -> T:
    """Connect, trying again while the other side is not there yet. Raises `_Stopped` as soon as `stop` is set."""
    deadline, told = time.monotonic() + WAIT_AT_START, ""
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while True:
            connecting = asyncio.ensure_future(connect())
            await asyncio.wait([connecting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                connecting.cancel()
                await asyncio.wait([connecting])
                raise _Stopped
            try:
                return connecting.result()
            except Unavailable as error:
                if stop.is_set():
                    raise _Stopped from None
                if time.monotonic() > deadline:
                    raise
                if str(error) != told:
                    told = str(error)
                    logger.warning("waiting for a downstream", error=told)
            await pause(stop, 0.5)
    finally:
        stopping.cancel()
