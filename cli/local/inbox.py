"""A real SMTP server that keeps what it gets, with a page to read it: `python -m cli.local.inbox`.

Each mail is an `.eml` file in the folder, written and fsynced before the client hears 250, so that a mail that
was accepted is there after any crash. The envelope and the time stand in front as `X-Kurant-*` lines.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
import uuid
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse, Response

from cli.local import inbox_page
from cli.local.ports import HOST
from libs.common.clock import Clock
from libs.common.errors import Misconfigured
from libs.common.settings import load

T = TypeVar("T")
MAX_SIZE = 32 * 1024 * 1024


class Inbox:
    """The mails of one folder, oldest first."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self.clock = clock
        folder.mkdir(parents=True, exist_ok=True)
        self._mails = {path.stem: parse(path) for path in sorted(folder.glob("*.eml"))}

    def keep(self, raw: bytes, sender: str, recipients: list[str], now: datetime) -> None:
        """Write a mail durably, then list it."""
        lines = [f"X-Kurant-Received: {now.isoformat()}", f"X-Kurant-From: <{sender}>"]
        lines += [f"X-Kurant-To: <{recipient}>" for recipient in recipients]
        path = self._folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.eml"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write("\r\n".join(lines).encode() + b"\r\n" + raw)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._mails[path.stem] = parse(path)

    def all(self) -> list[dict[str, Any]]:
        """Every mail in the order of arrival, as `GET /api/messages` shows it."""
        return [self._mails[key] for key in sorted(self._mails)]

    def one(self, key: str) -> dict[str, Any] | None:
        return self._mails.get(key)

    def raw(self, key: str) -> bytes | None:
        return (self._folder / f"{key}.eml").read_bytes() if key in self._mails else None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """aiosmtpd's hook; 250 only when the mail is on disk, 451 (try again) when it cannot be."""
        content = envelope.original_content or b""
        now = self.clock.now()
        try:
            recipients = [str(recipient) for recipient in envelope.rcpt_tos]
            await asyncio.to_thread(self.keep, content, envelope.mail_from or "", recipients, now)
        except OSError as error:
            return f"451 4.3.0 cannot store the mail: {error.strerror}"
        return "250 2.0.0 kept"


def parse(path: Path) -> dict[str, Any]:
    """What the page and the API show of a mail; a part that cannot be decoded is shown as far as it can."""
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    assert isinstance(mail, EmailMessage)
    headers = [(name, str(value)) for name, value in mail.items() if not name.startswith("X-Kurant-")]
    return {
        "id": path.stem,
        "received_at": str(mail["X-Kurant-Received"] or ""),
        "mail_from": str(mail["X-Kurant-From"] or "").strip("<>"),
        "to": [str(value).strip("<>") for value in mail.get_all("X-Kurant-To", [])],
        "subject": str(mail["Subject"] or ""),
        "headers": dict(headers),
        "text": _body(mail, "plain"),
        "html": _body(mail, "html"),
    }


def _body(mail: EmailMessage, kind: str) -> str | None:
    part = mail.get_body(preferencelist=(kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def pages(inbox: Inbox) -> FastAPI:
    """The web application over an inbox."""
    app = FastAPI(title="Kurant inbox")

    @app.get("/", response_class=HTMLResponse)
    def index() -> str:
        return inbox_page.index(inbox.all())

    @app.get("/messages/{key}", response_class=HTMLResponse)
    def message(key: str) -> str:
        return inbox_page.message(_found(inbox.one(key)))

    @app.get("/messages/{key}/html", response_class=HTMLResponse)
    def html(key: str) -> Response:
        content = _found(inbox.one(key))["html"] or ""
        return HTMLResponse(content, headers={"Content-Security-Policy": inbox_page.MAIL_POLICY})

    @app.get("/messages/{key}/source")
    def source(key: str) -> Response:
        return Response(_found(inbox.raw(key)), media_type="text/plain; charset=utf-8")

    @app.get("/api/messages")
    def messages(to: str | None = None) -> list[dict[str, Any]]:
        return [mail for mail in inbox.all() if to is None or to in mail["to"]]

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "service": "inbox", "now": inbox.clock.now().isoformat()}

    return app


def _found(value: T | None) -> T:
    if value is None:
        raise HTTPException(404, "no such mail")
    return value


async def serve(folder: Path, smtp_port: int, page_port: int, clock: Clock) -> None:
    """Run both servers until SIGTERM or SIGINT."""
    inbox = Inbox(folder, clock)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(inbox, data_size_limit=MAX_SIZE, enable_SMTPUTF8=True, hostname="inbox.localhost"),
        HOST,
        smtp_port,
    )
    config = uvicorn.Config(pages(inbox), host=HOST, port=page_port, log_level="warning", timeout_graceful_shutdown=2)
    web = uvicorn.Server(config)
    serving = asyncio.create_task(web._serve())  # without uvicorn's own signal handlers
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    server.close()
    web.should_exit = True
    await serving


def main() -> int:
    parser = argparse.ArgumentParser(prog="cli.local.inbox")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--page-port", type=int, required=True)
    options = parser.parse_args()
    try:
        clock = load().clock(time.time())
    except Misconfigured as error:
        print(error, file=sys.stderr)  # its own output
        return 2
    asyncio.run(serve(options.folder, options.smtp_port, options.page_port, clock))
    return 0


if __name__ == "__main__":
    sys.exit(main())
