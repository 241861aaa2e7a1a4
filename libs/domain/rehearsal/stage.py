"""The scenarios of a rehearsal, made ready once for all its tests."""

from collections.abc import Mapping
from dataclasses import dataclass

from libs.domain.consent.state import TRANSACTIONAL
from libs.domain.engine.program import CannotRun, Program, Send, compile_program
from libs.domain.engine.registry import Registry
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import Finding, ScenarioError
from libs.domain.template import CompiledMessage, compile_bundle

SHOP = "demo"
VERSION = 1
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
            (one.name for one in self.program.instructions if isinstance(one, Send) and one.path == path),
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


class Stage:
    """The scenarios that play together."""

    def __init__(self, *prepared: Prepared) -> None:
        self.scenarios: Mapping[str, Prepared] = {one.program.id: one for one in prepared}

    def registry(self, state: str) -> Registry:
        """As rules knows them, all in `state`."""
        made = Registry()
        for one in self.scenarios.values():
            made.publish(SHOP, one.program)
        self.set_state(made, state)
        return made

    def set_state(self, registry: Registry, state: str) -> None:
        """Make all of them `live` or `archived`."""
        for one in self.scenarios.values():
            registry.set_state(SHOP, one.program.id, VERSION, state)

    def purposes(self) -> set[str]:
        """What the scenarios need a consent for."""
        return {one.program.purpose for one in self.scenarios.values()} - {TRANSACTIONAL}
