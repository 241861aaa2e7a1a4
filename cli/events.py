"""`kurant events`: send events from a file, in batches, resumable."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from cli.client import Refused, Unreachable, decoded, find, request
from cli.options import Data, Json, Shop
from cli.terminal import ERR, CliError, line, say, show_json

app = typer.Typer(help="Events from files.", no_args_is_help=True, rich_markup_mode=None)
BATCH = 500
PATIENCE = 120.0
"""Seconds for which a platform that is away, or answers 503 or 429, is asked again: a duplicate is harmless."""


@dataclass
class Journey:
    """How far a file has been sent. `offset` is in bytes, `line` counts from 1."""

    offset: int = 0
    line: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Numbered:
    """An event and its line."""

    line: int
    event: dict[str, Any]


class Sender:
    """Sends batches to one ingest."""

    def __init__(self, url: str, key: str, shop: str | None) -> None:
        self._url = f"{url}/v1/events"
        self._key = key
        self._params = {"shop": shop} if shop else {}

    def send(self, batch: list[Numbered], journey: Journey) -> None:
        """Send a batch; what is refused is noted with its line. A batch refused as a whole, and not event by event,
        is halved.
        """
        if not batch:
            return
        try:
            answer = self._post([item.event for item in batch])
        except Refused as refused:
            if refused.status not in (400, 413, 422):
                raise
            told = refused.body.get("rejected") or []
            if len(told) == len(batch):  # none can be used, and of each it is known why
                _note(told, batch, journey)
                return
            if len(batch) == 1:
                journey.rejected.append({"line": batch[0].line, "error": str(refused)})
                return
            middle = len(batch) // 2
            self.send(batch[:middle], journey)
            self.send(batch[middle:], journey)
            return
        journey.accepted += answer["accepted"]
        journey.duplicates += answer["duplicates"]
        _note(answer["rejected"], batch, journey)

    def _post(self, events: list[dict[str, Any]]) -> Any:
        deadline = time.monotonic() + PATIENCE
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        content = json.dumps(events, ensure_ascii=False).encode("utf-8", "surrogatepass")
        while True:
            pause = 1.0
            try:
                answer = request("POST", self._url, self._key, content=content, headers=headers, params=self._params)
                if answer.status_code not in (429, 503) or time.monotonic() > deadline:
                    return decoded(answer)
                pause = min(10.0, float(answer.headers.get("Retry-After", "1")))
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
            time.sleep(pause)


def _note(told: list[dict[str, Any]], batch: list[Numbered], journey: Journey) -> None:
    """Note what was refused, with its line and the reason."""
    journey.rejected += [{"line": batch[row["index"]].line, "error": row["error"]} for row in told]


@app.command()
def send(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="a CloudEvent in JSON on every line")],
    shop: Shop = None,
    again: Annotated[bool, typer.Option("--again", help="from the beginning, forgetting an interrupted run")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send a file of events; after an interruption the same command goes on where it stopped."""
    target = find(data)
    if target.ingest is None:
        raise CliError("KURANT_INGEST_URL is not set: it must hold the address of the platform's ingest")
    chosen = target.shop(shop)
    sender = Sender(target.ingest, target.ingest_key(chosen), chosen)
    try:
        journey = travel(file, sender, again)
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from None
    except Refused as refused:
        if refused.strange:
            target.check("ingest")
        raise
    if not (journey.accepted or journey.duplicates or journey.rejected):
        raise CliError(f"no events in {file}")
    if as_json:
        show_json({"accepted": journey.accepted, "duplicates": journey.duplicates, "rejected": journey.rejected})
    else:
        for row in journey.rejected:
            line(f"{file}:{row['line']}: {row['error']}")
        line(f"{journey.accepted} accepted, {journey.duplicates} duplicates, {len(journey.rejected)} rejected")
    if journey.rejected:
        raise typer.Exit(1)


def travel(file: Path, sender: Sender, again: bool) -> Journey:
    """Send the whole file, noting after every batch how far it came in `FILE.progress`."""
    note = file.with_name(file.name + ".progress")
    size = file.stat().st_size
    journey = Journey()
    if not again and note.exists():
        journey = _journey(note)
        if journey.offset > size:
            raise CliError(f"{file} is shorter than when it was interrupted: --again sends it from the beginning")
        say(f"going on after line {journey.line}")
    columns = (TextColumn("sending"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    with file.open("rb") as source, Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        source.seek(journey.offset)
        task = bar.add_task("", total=size, completed=journey.offset)
        while batch := _next(source, journey):
            sender.send(batch.events, journey)
            journey.rejected.sort(key=lambda row: int(row["line"]))
            journey.offset, journey.line = batch.offset, batch.line
            note.write_text(json.dumps(asdict(journey)))
            bar.update(task, completed=journey.offset)
    note.unlink(missing_ok=True)
    return journey


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _journey(note: Path) -> Journey:
    """How far an interrupted run came. Raises `CliError` when the note is damaged."""
    try:
        found = Journey(**json.loads(note.read_text("utf-8")))
        if not all(isinstance(one, int) for one in (found.offset, found.line, found.accepted, found.duplicates)):
            raise ValueError("no numbers")
        return found
    except (ValueError, TypeError):
        raise CliError(f"{note} is damaged: --again sends the file from the beginning") from None


@dataclass(frozen=True)
class Batch:
    """Events to send, and where the file stands after them."""

    events: list[Numbered]
    offset: int
    line: int


def _next(source: Any, journey: Journey) -> Batch | None:
    """The next batch; a line that is no JSON object is noted as rejected. None at the end."""
    events: list[Numbered] = []
    number = journey.line
    while len(events) < BATCH and (raw := source.readline()):
        number += 1
        if not raw.strip():
            continue
        try:
            event = json.loads(raw, parse_constant=_no_constant)
        except UnicodeDecodeError:
            journey.rejected.append({"line": number, "error": "not UTF-8"})
            continue
        except (ValueError, RecursionError):
            journey.rejected.append({"line": number, "error": "not JSON; each line must be one CloudEvent"})
            continue
        if isinstance(event, dict):
            events.append(Numbered(number, event))
        else:
            journey.rejected.append({"line": number, "error": "not a JSON object"})
    return Batch(events, source.tell(), number) if number > journey.line else None
