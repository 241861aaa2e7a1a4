"""Structured logs (structlog), one JSON object a line, without personal data.

Fields whose names promise an address or a name are blanked, whoever logs them: the last line of defence, not
the first. Tracebacks never show local variables.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

PERSONAL = frozenset({"email", "phone", "address", "to", "recipient", "first_name", "last_name", "name_of", "ip"})


def _blank_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for field in PERSONAL & event.keys():
        event[field] = "[removed]"
    return event


def setup(service: str, *, json: bool) -> None:
    """Configure structlog and the standard library's loggers of our dependencies; lines go to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _blank_personal,
    ]
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer: Any = structlog.processors.JSONRenderer() if json else console
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def logger(name: str) -> FilteringBoundLogger:
    """The logger of a module."""
    made: FilteringBoundLogger = structlog.get_logger(module=name)
    return made
