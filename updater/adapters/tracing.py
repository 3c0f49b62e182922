"""Traces for OpenTelemetry, sent by OTLP over HTTP; its own `OTEL_…` variables say where to."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars

_PREFIX = "updater."
_LAST_SECONDS = 3.0
_carrier = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Implements `Tracing`; batches are sent by a thread of the library's, and waited for by nobody."""

    def __init__(self, version: str) -> None:
        # What the environment says of the service comes before what we say.
        ours = Resource({SERVICE_NAME: "updater", SERVICE_VERSION: version})
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("updater", version)

    async def close(self) -> None:
        """Send what waits, and end; what the receiver does not take in time is lost."""
        ending = asyncio.ensure_future(asyncio.to_thread(self._provider.shutdown))
        done, _ = await asyncio.wait({ending}, timeout=_LAST_SECONDS)
        if not done:
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # it tries no more

    @contextmanager
    def span(self, name: str, causes: Sequence[str] = (), **attributes: str | int) -> Iterator["_Span"]:
        contexts = [_context(cause) for cause in dict.fromkeys(causes) if cause]
        parent = None
        if contexts and not trace.get_current_span().get_span_context().is_valid:
            parent = trace.set_span_in_context(trace.NonRecordingSpan(contexts.pop(0)))
        links = [trace.Link(context) for context in contexts]
        with (
            self._tracer.start_as_current_span(name, parent, attributes=_named(attributes), links=links) as span,
            bound_contextvars(trace_id=trace.format_trace_id(span.get_span_context().trace_id)),
        ):
            yield _Span(span)

    def current(self) -> str:
        carrier: dict[str, str] = {}
        _carrier.inject(carrier)
        return carrier.get("traceparent", "")


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def note(self, **attributes: str | int) -> None:
        self._span.set_attributes(_named(attributes))


def _context(traceparent: str) -> trace.SpanContext:
    return trace.get_current_span(_carrier.extract({"traceparent": traceparent})).get_span_context()


def _named(attributes: dict[str, str | int]) -> dict[str, str | int]:
    return {f"{_PREFIX}{key}": value for key, value in attributes.items()}
