"""The published scenarios in memory, indexed by what can start them and by what they ask about."""

from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import blake2b

from libs.domain.engine import named
from libs.domain.engine.named import LEFT_ENTERED, Named, Segments
from libs.domain.engine.program import Program
from libs.domain.engine.questions import Asked
from libs.domain.engine.starters import Starters, starters, under
from libs.domain.rfm.model import RfmRules
from libs.domain.scenario.model import DateTrigger, InactiveTrigger

DEFAULT_ZONE = "UTC"


@dataclass(frozen=True, kw_only=True)
class Watching:
    """The current scenarios of a shop that are entered at a moment.

    `dates` are those with a date of an event, by the part of the event that holds it; `activity` those that wait for
    silence, by event type.
    """

    programs: dict[str, Program]
    profile_dates: tuple[Program, ...]
    dates: dict[str, tuple[Program, ...]]
    activity: dict[str, tuple[Program, ...]]


@dataclass(kw_only=True)
class Shop:
    """All that a turn needs of one shop.

    `fingerprint` is of all that a profile has to look at by itself: the scenarios that are entered at a moment, the
    segments, and whether products find their customers (`products`). It is the same in every process that knows the
    same versions, and empty where there is nothing.
    """

    triggers: dict[str, Starters] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)
    watching: Watching | None = None
    segments: Segments | None = None
    fingerprint: str = ""
    products: bool = False
    zone: str = DEFAULT_ZONE


class Registry:
    """Versions never change (I8); which one takes new enrolments, and whether it does, is the state."""

    def __init__(self) -> None:
        self._programs: dict[tuple[str, str, int], Program] = {}
        self._states: dict[tuple[str, str], tuple[int, str]] = {}
        self._over: dict[tuple[str, str], int] = {}
        self._segments: dict[tuple[str, str, int], Named] = {}
        self._segment_states: dict[tuple[str, str], tuple[int, str]] = {}
        self._shops: dict[str, Shop] = {}
        self._stale: set[str] = set()
        self._rfm: dict[str, tuple[int, RfmRules]] = {}

    def publish(self, shop: str, program: Program) -> None:
        """Add a version."""
        self._programs[(shop, program.id, program.version)] = program
        self._stale.add(shop)

    def set_state(self, shop: str, scenario: str, version: int, state: str, over: int = 0) -> None:
        """Say which version is current, and its state; versions up to `over` were archived, as an archived one is."""
        self._states[(shop, scenario)] = (version, state)
        self._over[(shop, scenario)] = version if state == "archived" else over
        self._stale.add(shop)

    def publish_segment(self, shop: str, segment: Named) -> None:
        """Add a version of a segment."""
        self._segments[(shop, segment.id, segment.version)] = segment
        self._stale.add(shop)

    def set_segment_state(self, shop: str, segment: str, version: int, state: str) -> None:
        """Say which version of a segment is current, and whether it is `live` or `archived`."""
        self._segment_states[(shop, segment)] = (version, state)
        self._stale.add(shop)

    def set_zone(self, shop: str, zone: str) -> None:
        """Say in which zone the customers of a shop are, of whom nothing better is known."""
        self._shop(shop).zone = zone

    def set_rfm(self, shop: str, version: int, rules: RfmRules) -> None:
        """Say by which rules a shop's customers are scored; an older version than the one known changes nothing."""
        if version >= self._rfm.get(shop, (0, rules))[0]:
            self._rfm[shop] = (version, rules)

    def rfm(self, shop: str) -> tuple[int, RfmRules] | None:
        """The version and the rules by which a shop's customers are scored; None when it published none."""
        return self._rfm.get(shop)

    def shop(self, shop: str) -> Shop:
        """The index of a shop, made anew when somebody asks after something was published."""
        if shop in self._stale:
            self._index(shop)
            self._stale.discard(shop)
        return self._shops.get(shop) or self._shop(shop)

    def shops(self) -> list[str]:
        """The shops that have scenarios or segments."""
        return sorted({shop for shop, _ in (*self._states, *self._segment_states)})

    def get(self, shop: str, scenario: str, version: int) -> Program | None:
        """One version, current or not."""
        return self._programs.get((shop, scenario, version))

    def state(self, shop: str, scenario: str) -> str:
        """`live`, `paused` or `archived`."""
        return self._states.get((shop, scenario), (0, "archived"))[1]

    def over(self, shop: str, scenario: str, version: int) -> bool:
        """Whether what runs by a version has ended: it was archived, whatever has been published since."""
        return version <= self._over.get((shop, scenario), 0)

    def current(self, shop: str) -> list[tuple[Program, str]]:
        """The current version of each scenario of a shop, and its state."""
        return [
            (program, state)
            for (owner, scenario), (version, state) in sorted(self._states.items())
            if owner == shop and (program := self._programs.get((owner, scenario, version)))
        ]

    def current_segments(self, shop: str) -> list[tuple[Named, str]]:
        """The current version of each segment of a shop, and its state."""
        return [
            (segment, state)
            for (owner, id), (version, state) in sorted(self._segment_states.items())
            if owner == shop and (segment := self._segments.get((owner, id, version)))
        ]

    def _shop(self, shop: str) -> Shop:
        return self._shops.setdefault(shop, Shop())

    def _index(self, shop: str) -> None:
        """What anybody may start now, most important first; what any version, also an old one, may ask."""
        index = self._shop(shop)
        current = [program for program, state in self.current(shop) if state != "archived"]
        current.sort(key=lambda one: -one.priority)
        segments = self.current_segments(shop)
        live = [segment for segment, state in segments if state != "archived"]
        asked: dict[str, Asked] = {}
        asking = [program.asks for (owner, _, _), program in self._programs.items() if owner == shop]
        if segments:  # who entered what is worth remembering, whether or not somebody asks by now
            asking.append(dict.fromkeys(LEFT_ENTERED, Asked(frozenset({("segment",)}))))
        for asks in (*asking, *(segment.asks for segment in live)):
            for type, fields in asks.items():
                asked[type] = asked[type] | fields if type in asked else fields
        index.triggers = {key: starters(key, programs) for key, programs in under(current)}
        index.asked = asked
        watching = [program for program in current if program.watches]
        index.watching = _watching(watching)
        archived = [segment.id for segment, state in segments if state == "archived"]
        index.segments = named.index(live, archived) if segments else None
        index.products = any(program.products for program in current)
        over = [
            f"{scenario}@{version}" for (owner, scenario), version in self._over.items() if owner == shop and version
        ]
        index.fingerprint = _fingerprint(watching, live, over, index.products)


def _watching(programs: list[Program]) -> Watching | None:
    if not programs:
        return None
    dates: dict[str, list[Program]] = defaultdict(list)
    activity: dict[str, list[Program]] = defaultdict(list)
    of_profile: list[Program] = []
    for program in programs:
        if isinstance(program.on, DateTrigger):
            root, _, rest = program.on.date.partition(".")
            if root == "event":
                dates[rest.partition(".")[0]].append(program)
            else:
                of_profile.append(program)
        elif isinstance(program.on, InactiveTrigger):
            for event in program.on.events:
                activity[event].append(program)
    return Watching(
        programs={program.id: program for program in programs},
        profile_dates=tuple(of_profile),
        dates=_frozen(dates),
        activity=_frozen(activity),
    )


def _fingerprint(programs: list[Program], segments: list[Named], over: list[str], products: bool) -> str:
    known = sorted(f"{program.id}@{program.version}" for program in programs)
    known += sorted(f"segment {segment.id}@{segment.version}" for segment in segments)
    known += sorted(f"over {one}" for one in over)
    known += ["products"] if products else []
    return blake2b(";".join(known).encode(), digest_size=6).hexdigest() if known else ""


def _frozen(programs: dict[str, list[Program]]) -> dict[str, tuple[Program, ...]]:
    return {name: tuple({one.id: one for one in found}.values()) for name, found in programs.items()}
