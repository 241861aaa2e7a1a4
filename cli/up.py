"""`kurant up`: run a platform in the foreground."""

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.client import Away, Refused, Target, find
from cli.demo import Demo, next_run
from cli.local.folder import Folder
from cli.local.platform import Interrupted, Platform, Reporter
from cli.local.ports import HOST, SERVICES, Ports
from cli.local.process import ROOT, LocalError
from cli.scenario import bundles, complaint, publish_bundle
from cli.segment import beside
from cli.terminal import ERR, CliError, line, one_line, say, show_table
from libs.common.http.demo import DEMO_SHOP
from libs.domain.scenario.source import ScenarioError, read

DEMO_SPEED = 2160.0
"""Three days in two minutes: half an hour is still 0.8 s, and no customer acts closer than that to a mail."""


def up(
    demo: Annotated[bool, typer.Option("--demo", help="play a believable day of one shop")] = False,
    data: Annotated[Path | None, typer.Option(help="data folder", envvar="KURANT_DATA")] = None,
    port_base: Annotated[int, typer.Option(help="first port; the others follow from it")] = 8080,
    speed: Annotated[float | None, typer.Option(help="how many times faster than life")] = None,
    start: Annotated[str | None, typer.Option(help="the platform's time at the start (ISO 8601, or now)")] = None,
    scenarios: Annotated[Path | None, typer.Option(help="folder of scenarios to publish")] = None,
) -> None:
    """Start Kafka, PostgreSQL, an inbox and all services; publish the scenarios; stop on Ctrl-C."""
    chosen = speed if speed is not None else DEMO_SPEED if demo else 1.0
    if not 0 < chosen <= 1_000_000:
        raise CliError(f"--speed {chosen}: must be above 0 and at most 1000000")
    if scenarios is not None and not scenarios.is_dir():
        raise CliError(f"--scenarios {scenarios}: no such folder")
    platform = Platform(
        folder=Folder((data or Path(".kurant")).resolve()),
        ports=Ports(port_base),
        speed=chosen,
        start=moment(start) if start else None,
        report=reporter(),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopper(platform))
    code = live(platform, demo, scenarios or default_scenarios())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a download that was interrupted must not hold us up


def live(platform: Platform, demo: bool, scenarios: Path) -> int:
    """Bring a platform up, watch over it until it is asked to stop, take it down; the exit code."""
    code = 0
    playing: threading.Thread | None = None
    try:
        platform.bring_up()
        publish(platform, scenarios)
        announce(platform)
        if demo:
            playing = threading.Thread(target=_demo(platform).play, name="demo", daemon=True)
            playing.start()
        platform.run()
    except Interrupted:
        pass
    except (LocalError, CliError, OSError) as error:
        if not platform.stop.is_set():  # what fails while we are asked to stop is no news
            ERR.print(f"kurant: {one_line(error)}", markup=False)
            code = getattr(error, "code", 1)
    platform.stop.set()
    if playing is not None:
        playing.join(5)  # it gives the terminal back
    if platform.started:
        say("stopping")
    platform.take_down()
    if platform.started:
        say("stopped")
    return code


def default_scenarios() -> Path:
    """`scenarios` here, else the ones that come with Kurant."""
    here = Path("scenarios")
    return here if here.is_dir() else ROOT / "scenarios"


def publish(platform: Platform, folder: Path) -> None:
    """Publish the segments beside the folder and every scenario of it; one that is wrong is told and does not hold up
    the others. What was archived stays so.
    """
    if not any(folder.glob("*/scenario.yaml")) and not (folder / "scenario.yaml").exists():
        say(f"no scenarios in {folder}")
        return
    target = find(platform.folder.path)
    wanted = [("segment", place, files) for place, files in beside(folder)]
    wanted += [("scenario", place, files) for place, files in bundles([folder])]
    over = {kind: _archived(platform, target, f"{kind}s") for kind in ("segment", "scenario")}
    for kind, place, files in wanted:
        if (id := _id(files[f"{kind}.yaml"])) in over[kind]:
            say(f"{kind} {id} stays archived; `kurant {kind} publish {place}` makes it live again")
            continue
        try:
            made = platform.patiently(
                lambda kind=kind, files=files: publish_bundle(target, DEMO_SHOP, files, f"{kind}s"),  # type: ignore[misc]
                Away,
            )
            say(f"{kind} {made['id']} version {made['version']}{'' if made['changed'] else ', unchanged'}")
        except Refused as refused:
            found = refused.body.get("errors") or [{"message": str(refused)}]
            for row in found:
                ERR.print(complaint(place, row), markup=False)


def _archived(platform: Platform, target: Target, plural: str) -> set[str]:
    rows = platform.patiently(lambda: target.ask("GET", f"/v1/{plural}", params={"shop": DEMO_SHOP}), Away)
    return {row["id"] for row in rows if row["state"] == "archived"}


def _id(text: str) -> str | None:
    """What publishing would call it; None of what cannot be read, which publishing tells."""
    try:
        told = read(text, "").value
    except ScenarioError:
        return None
    return told.get("id") if isinstance(told, dict) else None


def _demo(platform: Platform) -> Demo:
    assert platform.anchor is not None
    return Demo(
        target=find(platform.folder.path),
        inbox=platform.ports.url("inbox"),
        clock=platform.anchor.clock(),
        stop=platform.stop,
        run=next_run(platform.folder.path),
    )


def _stopper(platform: Platform) -> "signal._HANDLER":
    def handler(_number: int, _frame: FrameType | None) -> None:
        platform.stop.set()

    return handler


def moment(text: str) -> datetime:
    """An ISO 8601 moment, or `now`; UTC when it names no offset. Raises `CliError`."""
    if text == "now":
        return datetime.fromtimestamp(time.time(), UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(f"--start {text}: not an ISO 8601 date and time, such as 2026-03-02T08:00:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def reporter() -> Reporter:
    """Progress: a bar for the downloads on a terminal, plain lines elsewhere."""
    columns = (TextColumn("downloading Kafka"), BarColumn(), MofNCompleteColumn(), TextColumn("jars"))
    bar = Progress(*columns, console=ERR, transient=True)
    task = bar.add_task("jars")

    def jars(done: int, total: int) -> None:
        if not ERR.is_terminal:
            if done % 10 == 0 and done < total:
                say(f"downloading Kafka: {done} of {total} jars")
            return
        if done < total:
            bar.start()
        bar.update(task, completed=done, total=total)
        if done == total:
            bar.stop()

    return Reporter(say=say, jars=jars)


def announce(platform: Platform) -> None:
    """The table of addresses, and the word that scripts wait for."""
    ports = platform.ports
    rows = [(name, ports.url(name)) for name in SERVICES]
    rows += [("inbox", ports.url("inbox")), ("inbox SMTP", f"smtp://{HOST}:{ports.smtp}")]
    rows += [("kafka", f"{HOST}:{ports.kafka}"), ("postgres", f"{HOST}:{ports.postgres}")]
    rows += [("data", str(platform.folder.path))]
    show_table(("part", "address"), rows)
    assert platform.anchor is not None
    line(f"platform time {platform.anchor.clock().now():%Y-%m-%d %H:%M:%S} UTC, speed {platform.anchor.speed:g}")
    line("ready")
