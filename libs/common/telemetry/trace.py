"""Trace context (W3C) from HTTP through Kafka headers to the mail; spans go to OTLP when it is configured.

Without `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is recorded, but the context still travels, so that a log line
or a mail can be joined with the request that caused it.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()
_tracer: trace.Tracer | None = None
KINDS = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER, "client": SpanKind.CLIENT}


def setup(service: str) -> None:
    """Send spans to OTLP over HTTP if the standard `OTEL_EXPORTER_OTLP_ENDPOINT` is set."""
    global _tracer  # one provider a process, as the SDK has it
    if not any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT") for name in ("", "TRACES_")):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=Resource.create({"service.name": f"kurant-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("kurant")


def new() -> str:
    """A fresh `traceparent`, not sampled (W3C Trace Context, section 3.2)."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


@contextmanager
def span(
    name: str, traceparent: str | None, kind: str, attributes: Mapping[str, str | int] | None = None
) -> Iterator[str]:
    """A span under `traceparent` (or a new trace); yields the `traceparent` to hand on."""
    if _tracer is None:
        yield traceparent or new()
        return
    parent = _propagator.extract({"traceparent": traceparent}) if traceparent else None
    with _tracer.start_as_current_span(name, context=parent, kind=KINDS[kind], attributes=attributes):
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        yield carrier["traceparent"]
