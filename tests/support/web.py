"""A small HTTP server for tests of clients: answers from a function, remembers what was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request; `body` is decoded JSON, or the text of a form."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Answer = Callable[[Asked], tuple[int, Any]]


@dataclass
class Web:
    """The running server."""

    url: str
    asked: list[Asked] = field(default_factory=list)


def _decoded(raw: bytes, content_type: str | None) -> Any:
    if content_type == "application/x-www-form-urlencoded":
        return raw.decode()
    return json.loads(raw) if raw else None


@contextmanager
def serving(answer: Answer) -> Iterator[Web]:
    """Serve `answer` (status, JSON body) on a free port of the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        def _handle(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(
                self.command, parts.path, query, dict(self.headers), _decoded(raw, self.headers["Content-Type"])
            )
            web.asked.append(asked)
            status, body = answer(asked)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815  # the library's names

        def log_message(self, *_arguments: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
