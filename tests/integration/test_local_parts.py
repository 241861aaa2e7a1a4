"""Real Kafka, real PostgreSQL and the inbox as `kurant up` runs them; what they keep when they are killed."""

import asyncio
import email.message
import os
import signal
import smtplib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import pytest

from cli.local import jars
from cli.local.kafka import Kafka
from cli.local.ports import HOST, free_port
from cli.local.postgres import Postgres
from cli.local.process import Child, Command, LocalError
from libs.common.bus.kafka import Consumer, Producer
from libs.common.bus.records import Outgoing
from tests.integration.test_local_processes import wait_for
from tests.support.servers import sql, wait_ready


async def test_a_fresh_database_has_every_schema(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        schemas = await connection.fetch("SELECT DISTINCT table_schema FROM information_schema.tables")
        assert {"rules"} <= {row[0] for row in schemas}
        assert await connection.fetchval("SHOW fsync") == "on"
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
    finally:
        await connection.close()


async def test_a_password_is_needed(postgres: str) -> None:
    without = postgres.split("@")[1]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://kurant:guess@{without}")


def test_postgres_keeps_what_it_said_it_has_when_it_is_killed(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres", port=free_port(), log=tmp_path / "postgres.log")
    server.prepare()
    child = Child(server.command())
    try:
        wait_ready(server, child)
        server.create_database()
        server.create_database()  # twice is harmless
        sql(server, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (42)")
        os.kill(child.pid, signal.SIGKILL)
        child.popen.wait(10)
        pid_file = server.folder / "postmaster.pid"
        assert pid_file.exists()
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")  # the pid is somebody else's by now
        server.prepare()
        child = Child(server.command())
        wait_ready(server, child)
        assert sql(server, "SELECT n FROM kept") == "42"
    finally:
        assert child.stop()
    assert not (server.folder / "postmaster.pid").exists()


async def _publish(bootstrap: str, value: bytes) -> None:
    producer = await Producer.connect(bootstrap, name="test")
    await producer.send([Outgoing(topic="kept", key=b"k", value=value, headers=())])
    await producer.close()


async def _read(bootstrap: str) -> list[bytes | None]:
    consumer = Consumer(bootstrap, name="test", group=None)
    await consumer.start()
    try:
        await consumer.assign_all("kept")
        found: list[bytes | None] = []
        async with asyncio.timeout(20):
            while len(found) < 2:
                found += [record.value for record in await consumer.poll()]
        return found
    finally:
        await consumer.close()


async def _create(bootstrap: str) -> None:
    from libs.common.bus.kafka import create_topics
    from libs.contracts.topics import EVENTS

    kept = [type(EVENTS)(**{**{f: getattr(EVENTS, f) for f in EVENTS.__dataclass_fields__}, "name": "kept"})]
    await create_topics(bootstrap, kept, partitions=1, replication=1)


def test_kafka_keeps_acknowledged_records_when_it_is_killed(tmp_path: Path) -> None:
    broker = Kafka(tmp_path / "kafka", port=free_port(), controller=free_port(), log=tmp_path / "kafka.log")
    broker.prepare()
    child = Child(broker.command())
    try:
        wait_ready(broker, child)
        asyncio.run(_create(broker.bootstrap))
        asyncio.run(_publish(broker.bootstrap, b"before"))
        os.kill(child.pid, signal.SIGKILL)
        child.popen.wait(10)
        broker.prepare()
        child = Child(broker.command())
        wait_ready(broker, child)
        asyncio.run(_publish(broker.bootstrap, b"after"))
        assert asyncio.run(_read(broker.bootstrap)) == [b"before", b"after"]
    finally:
        assert child.stop()


def test_a_changed_jar_is_noticed_and_fetched_again(tmp_path: Path) -> None:
    jar = next(jar for jar in jars.read_lock() if jar.artifact == "slf4j-api")
    path = jar.path(tmp_path / "maven")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a jar")
    told: list[tuple[int, int]] = []
    assert jars.ensure(lambda done, total: told.append((done, total)), [jar], tmp_path) == [path]
    assert jar.good(tmp_path / "maven")
    assert told[-1] == (1, 1)


def test_a_jar_that_is_not_the_one_in_the_lock_file_is_refused(tmp_path: Path) -> None:
    jar = next(jar for jar in jars.read_lock() if jar.artifact == "slf4j-api")
    other = jars.Jar(jar.group, jar.artifact, jar.version, "0" * 64)
    with pytest.raises(LocalError, match="SHA-256"):
        jars.ensure(lambda done, total: None, [other], tmp_path)


class RunningInbox:
    """An inbox process that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.smtp, self.page = free_port(), free_port()
        where = ("--folder", str(folder / "mails"), "--smtp-port", str(self.smtp), "--page-port", str(self.page))
        environment = os.environ | {"KURANT_PROFILE": "local", "KURANT_CLOCK_START": "2026-03-02T10:00:00Z"}
        self._command = Command(
            name="inbox",
            argv=(sys.executable, "-m", "cli.local.inbox", *where),
            env=environment,
            log=folder / "inbox.log",
        )
        self.start()

    def start(self) -> None:
        self.child = Child(self._command)
        wait_for(lambda: self._answers())

    def _answers(self) -> bool:
        try:
            return self.get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://{HOST}:{self.page}{path}", trust_env=False)

    def send(self, subject: str, *recipients: str) -> None:
        mail = email.message.EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "shop@demo.example", ", ".join(recipients), subject
        mail["List-Unsubscribe"] = "<https://demo.example/u/abc>"
        mail.set_content("Twój koszyk czeka")
        mail.add_alternative("<p>Twój <b>koszyk</b></p><script>alert(1)</script>", subtype="html")
        with smtplib.SMTP(HOST, self.smtp) as client:
            client.send_message(mail)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[RunningInbox]:
    running = RunningInbox(tmp_path)
    yield running
    running.child.stop()


def test_a_mail_is_listed_with_everything(inbox: RunningInbox) -> None:
    inbox.send("Zażółć", "anna@example.com", "ben@example.com")
    (mail,) = inbox.get("/api/messages").json()
    assert mail["subject"] == "Zażółć"
    assert mail["to"] == ["anna@example.com", "ben@example.com"]
    assert mail["headers"]["List-Unsubscribe"] == "<https://demo.example/u/abc>"
    assert mail["text"].strip() == "Twój koszyk czeka"
    assert "<b>koszyk</b>" in mail["html"]
    received = datetime.fromisoformat(mail["received_at"])
    assert datetime(2026, 3, 2, 10, tzinfo=UTC) <= received < datetime(2026, 3, 2, 10, 5, tzinfo=UTC)


def test_mails_of_one_recipient(inbox: RunningInbox) -> None:
    inbox.send("one", "anna@example.com")
    inbox.send("two", "ben@example.com")
    assert [mail["subject"] for mail in inbox.get("/api/messages").json()] == ["one", "two"]
    assert [mail["subject"] for mail in inbox.get("/api/messages?to=ben@example.com").json()] == ["two"]


def test_an_accepted_mail_survives_a_kill(inbox: RunningInbox) -> None:
    inbox.send("kept", "anna@example.com")
    os.kill(inbox.child.pid, signal.SIGKILL)
    inbox.child.popen.wait(5)
    inbox.start()
    assert [mail["subject"] for mail in inbox.get("/api/messages").json()] == ["kept"]


def test_the_pages_show_a_mail_and_trust_none_of_it(inbox: RunningInbox) -> None:
    inbox.send("<script>alert(1)</script>", "anna@example.com")
    (mail,) = inbox.get("/api/messages").json()
    index = inbox.get("/").text
    assert "&lt;script&gt;" in index
    assert "<script>" not in index
    page = inbox.get(f"/messages/{mail['id']}").text
    assert 'href="https://demo.example/u/abc"' in page
    assert "<script>" not in page
    html = inbox.get(f"/messages/{mail['id']}/html")
    assert "sandbox" in html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in html.headers["Content-Security-Policy"]
    assert inbox.get("/messages/none").status_code == 404


def test_hostile_mail_is_kept_and_shown(inbox: RunningInbox) -> None:
    with smtplib.SMTP(HOST, inbox.smtp) as client:
        client.sendmail(
            "a@b.example",
            ["c@d.example"],
            b"Subject: =?utf-9?b?x?=\r\nContent-Type: text/plain; charset=nope\r\n\r\n\xff\xfe",
        )
        client.sendmail("a@b.example", ["c@d.example"], b"no headers at all")
    assert len(inbox.get("/api/messages").json()) == 2
    assert inbox.get("/").status_code == 200
