"""The published scenarios in memory, indexed by what triggers them."""

from collections import defaultdict

from libs.domain.engine.program import Program


class Registry:
    """Versions never change (I8); which one takes new enrolments, and whether it does, is the state."""

    def __init__(self) -> None:
        self._programs: dict[tuple[str, str, int], Program] = {}
        self._states: dict[tuple[str, str], tuple[int, str]] = {}
        self._triggers: dict[tuple[str, str], list[Program]] = {}
        self._interesting: dict[str, frozenset[str]] = {}

    def publish(self, shop: str, program: Program) -> None:
        """Add a version."""
        self._programs[(shop, program.id, program.version)] = program
        self._index(shop)

    def set_state(self, shop: str, scenario: str, version: int, state: str) -> None:
        """Say which version is current, and its state."""
        self._states[(shop, scenario)] = (version, state)
        self._index(shop)

    def triggered_by(self, shop: str, event_type: str) -> list[Program]:
        """The current programs of a shop that an event type may start, most important first."""
        return self._triggers.get((shop, event_type), [])

    def get(self, shop: str, scenario: str, version: int) -> Program | None:
        """One version, current or not."""
        return self._programs.get((shop, scenario, version))

    def state(self, shop: str, scenario: str) -> str:
        """`live`, `paused` or `archived`."""
        return self._states.get((shop, scenario), (0, "archived"))[1]

    def interesting(self, shop: str, event_type: str) -> bool:
        """Whether any version of the shop's scenarios may ask for this type later."""
        return event_type in self._interesting.get(shop, ())

    def current(self, shop: str) -> list[tuple[Program, str]]:
        """The current version of each scenario of a shop, and its state."""
        return [
            (program, state)
            for (owner, scenario), (version, state) in sorted(self._states.items())
            if owner == shop and (program := self._programs.get((owner, scenario, version)))
        ]

    def _index(self, shop: str) -> None:
        by_type: dict[str, list[Program]] = defaultdict(list)
        for program, state in self.current(shop):
            if state != "archived":
                by_type[program.trigger].append(program)
        self._triggers = {key: programs for key, programs in self._triggers.items() if key[0] != shop}
        for event_type, programs in by_type.items():
            self._triggers[(shop, event_type)] = sorted(programs, key=lambda one: -one.priority)
        self._interesting[shop] = frozenset(
            event_type
            for (owner, _, _), program in self._programs.items()
            if owner == shop
            for event_type in program.asks_for
        )
