"""Recorded histories and the decisions they led to, line by line as they are kept and compared."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from libs.domain.engine.program import compile_program
from libs.domain.engine.turn import Turn
from libs.domain.scenario.parse import parse
from tests.reference.case import Arrival, Case
from tests.reference.platform import Platform, registry_of

FOLDER = Path(__file__).parent
VERSION = 1


@dataclass
class History:
    """A history with the texts of its scenarios, by the names under which its file keeps them."""

    name: str
    scenarios: list[str]
    case: Case
    decisions: list[str] = field(default_factory=list)


class Recorder(Platform):
    """Notes every decision: a call asked for or revoked, a message asked for."""

    def __init__(self, texts: list[str], zone: str) -> None:
        super().__init__(registry_of([compile_program(parse(text), VERSION) for text in texts], zone))
        self.decisions: list[str] = []

    def _absorb(self, turn: Turn) -> None:
        super()._absorb(turn)
        made = [f"revoke {call.step} due {call.due_at.isoformat()}" for call in turn.cancel]
        made += [f"call {call.step} due {call.due_at.isoformat()} for {call.enrolment}" for call in turn.schedule]
        made += [
            f"send {one.name} of {one.scenario} {one.message} by {','.join(one.channels)} "
            f"due {one.due_at.isoformat()} until {one.expires_at and one.expires_at.isoformat()}"
            for one in turn.messages
        ]
        self.decisions += [f"{turn.now.isoformat()} {line}" for line in made]


def decide(history: History, texts: dict[str, str]) -> list[str]:
    """What this version of the code decides, and how the enrolments end."""
    recorder = Recorder([texts[name] for name in history.scenarios], history.case.zone)
    outcome = recorder.play(history.case)
    ends = [
        f"{one.scenario} {one.id} {one.state} {one.because or ''} round {one.round}, "
        f"entered {one.entered_at.isoformat()}, ended {one.ended_at and one.ended_at.isoformat()}"
        for one in outcome.runs
    ]
    return [*recorder.decisions, *ends]


def read(file: Path) -> tuple[dict[str, str], list[History]]:
    """The texts and the histories of a corpus."""
    texts: dict[str, str] = {}
    histories = []
    for line in file.read_text().splitlines():
        told = json.loads(line)
        if "text" in told:
            texts[told["scenario"]] = told["text"]
        else:
            histories.append(_history(told))
    return texts, histories


def _history(told: dict[str, Any]) -> History:
    arrivals = [
        Arrival(**{**one, "moment": datetime.fromisoformat(one["moment"]), "time": datetime.fromisoformat(one["time"])})
        for one in told["arrivals"]
    ]
    until = datetime.fromisoformat(told["until"])
    made = Case(0, told["zone"], [], arrivals, until, told["reported"])
    return History(told["name"], told["scenarios"], made, told["decisions"])


def write(file: Path, texts: dict[str, str], histories: list[History]) -> None:
    """A corpus: a line for each text, then a line for each history."""
    lines = [json.dumps({"scenario": name, "text": text}, ensure_ascii=False) for name, text in texts.items()]
    lines += [json.dumps(one, ensure_ascii=False, default=datetime.isoformat) for one in map(_plain, histories)]
    file.write_text("\n".join(lines) + "\n")


def _plain(history: History) -> dict[str, Any]:
    case = history.case
    return {
        "name": history.name,
        "scenarios": history.scenarios,
        "zone": case.zone,
        "reported": case.reported,
        "until": case.until,
        "arrivals": [asdict(one) for one in case.arrivals],
        "decisions": history.decisions,
    }


def corpora() -> list[Path]:
    """Every recorded file."""
    return sorted(FOLDER.glob("*.jsonl"))
