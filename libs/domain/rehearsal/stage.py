"""The scenarios of a rehearsal, made ready once for all its tests."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.domain import ids
from libs.domain.consent.state import TRANSACTIONAL
from libs.domain.engine import acts
from libs.domain.engine.named import Named, compile_segment
from libs.domain.engine.program import CannotRun, Hook, Lot, Program, Send, compile_program
from libs.domain.engine.registry import Registry
from libs.domain.engine.state import Enrolment, Happened, Profile
from libs.domain.engine.turn import Turn
from libs.domain.scenario.parse import parse
from libs.domain.scenario.segment import parse_segment
from libs.domain.scenario.source import Finding, ScenarioError
from libs.domain.template import CompiledMessage, compile_bundle

SHOP = "demo"
VERSION = 1
MOST_TRIES = 20_000
MAIN = "scenario.yaml"
Bundle = dict[str, CompiledMessage]


@dataclass(frozen=True)
class Prepared:
    """A scenario as rules runs it, its messages as dispatch renders them."""

    program: Program
    bundle: Bundle

    def message_at(self, path: str) -> str:
        """The message that the send step at `path` sends, empty for another step."""
        return next(
            (one.name for one in self.program.instructions if isinstance(one, Send | Hook) and one.path == path),
            "",
        )


def prepare(files: dict[str, str]) -> Prepared:
    """A scenario out of its files; raises `ScenarioError` when it is wrong or this version does not run it."""
    if MAIN not in files:
        raise ScenarioError([Finding(file=MAIN, line=1, column=1, path="", message="there is no scenario.yaml")])
    try:
        return Prepared(compile_program(parse(files[MAIN], MAIN), VERSION), compile_bundle(files))
    except CannotRun as error:
        message = f"{error}: not available in this version"
        raise ScenarioError([Finding(file=MAIN, line=1, column=1, path="", message=message)]) from None


def prepare_segment(text: str, file: str) -> Named:
    """A segment out of its file; raises `ScenarioError` when it is wrong."""
    return compile_segment(parse_segment(text, file), VERSION)


class Stage:
    """The scenarios that play together, and the segments that there are."""

    def __init__(self, *prepared: Prepared, segments: Iterable[Named] = ()) -> None:
        self.scenarios: Mapping[str, Prepared] = {one.program.id: one for one in prepared}
        self.segments = tuple(segments)

    def registry(self, state: str, said: Collection[str] = ()) -> Registry:
        """As rules knows them: scenarios all in `state`, segments live but for those of which the test says all."""
        made = Registry()
        for segment in self.segments:
            if segment.id not in said:
                made.publish_segment(SHOP, segment)
                made.set_segment_state(SHOP, segment.id, VERSION, "live")
        for one in self.scenarios.values():
            made.publish(SHOP, one.program)
        self.set_state(made, state)
        return made

    def set_state(self, registry: Registry, state: str) -> None:
        """Make all of them `live` or `archived`."""
        for one in self.scenarios.values():
            registry.set_state(SHOP, one.program.id, VERSION, state)

    def customer(self, arms: Mapping[str, str], at: datetime) -> str | None:
        """The id of a profile that draws these arms of the splits named; None when none does."""
        lots = [
            (one.program, step)
            for one in self.scenarios.values()
            for step in one.program.instructions
            if isinstance(step, Lot) and step.name in arms
        ]
        if {step.name for _, step in lots} != set(arms):
            return None
        for number in range(MOST_TRIES):
            id = ids.derive("profile", SHOP, "rehearsal", number)
            if all(_drawn(program, step, id, at) == arms[step.name] for program, step in lots):
                return id
        return None

    def purposes(self) -> set[str]:
        """What the scenarios need a consent for."""
        return {one.program.purpose for one in self.scenarios.values()} - {TRANSACTIONAL}


def _drawn(program: Program, step: Lot, profile: str, at: datetime) -> str:
    """The arm that the engine draws for a profile."""
    nothing = Happened("", at, "")
    run = Enrolment(
        id="",
        scenario=program.id,
        version=VERSION,
        key="",
        entered_at=at,
        triggered_at=at,
        trigger=nothing,
        at=at,
    )
    turn = Turn(shop=SHOP, profile_id=profile, profile=Profile(), programs=Registry(), now=at)
    acts.draw(turn, run, step)
    return run.arms[step.name]
