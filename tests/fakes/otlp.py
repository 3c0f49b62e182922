"""A receiver of traces: OTLP over HTTP, as the OpenTelemetry protocol's specification has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Receiver:
    """What was received."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    async def _receive(self, request: web.Request) -> web.Response:
        body = ExportTraceServiceRequest.FromString(await request.read())
        for resource in body.resource_spans:
            said = attributes(resource.resource)
            self.services.add(said["service.name"])
            for scope in resource.scope_spans:
                self.spans += scope.spans
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")


def attributes(of: object) -> dict[str, str]:
    """Read attributes, whatever their type, as texts."""
    found = {each.key: each.value for each in of.attributes}  # type: ignore[attr-defined] # generated at import
    return {key: str(getattr(value, value.WhichOneof("value"))) for key, value in found.items()}


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    received = Receiver()
    app = web.Application()
    app.router.add_post("/v1/traces", received._receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    received.url = site.name.replace("127.0.0.1:0", f"127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield received
    finally:
        await runner.cleanup()
