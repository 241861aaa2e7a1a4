"""From a test's YAML to a `Rehearsal`: every fault is a finding with line, column, and what to do."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.domain.consent.state import STATUSES
from libs.domain.engine.registry import DEFAULT_ZONE
from libs.domain.intake import zones
from libs.domain.intake.identifiers import KINDS as IDENTIFIERS
from libs.domain.rehearsal.expect import ExpectReader
from libs.domain.rehearsal.model import EVERY, Consents, Given, Json, Move, Rehearsal
from libs.domain.scenario.caps import read_caps
from libs.domain.scenario.parse import CHANNELS, IDENTIFIER
from libs.domain.scenario.source import ScenarioError, Source, read
from libs.domain.vocabulary import CUSTOM, OWN_EVENTS, SHOP_EVENTS, is_event_type

FIELDS = ("name", "description", "with", "given", "when", "then")
GIVEN = (
    *("at", "profile", "consents", "timezone", "tags", "rfm", "segments"),
    *("cart", "order", "history", "suppressed", "arms", "caps"),
)
EVENT = ("at", "event", "data", "id", "received_at", "repeat")
CATALOG = "catalog"
"""What the data of a product is called, where an event has its type."""
TOUCHES = ("clicked", "opened", "replied")
ADDRESSES = (("email", ("email",)), ("phone", ("sms", "whatsapp", "viber")), ("push_token", ("push",)))
"""The trait that is an address, and the channels that it opens."""
KEPT_OUT = frozenset((*IDENTIFIERS, "push_token"))
"""What ingest takes out of an event before anybody else sees it (I1)."""
BEFORE = timedelta(minutes=1)
AHEAD = timedelta(days=1)
"""A shop's clock may be ahead by so much, and its events be dated later than they arrive."""
Canonical = Callable[[str, Json], Json]
"""An event's type and data in, the data as ingest passes it on out; raises `Unfit` for what ingest refuses."""


class Unfit(ValueError):
    """Data that ingest would refuse; `field` is its dotted path."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


def as_is(_type: str, data: Json) -> Json:
    """Data that nobody looks at more closely."""
    return data


def anything(_id: str) -> bool:
    """Whether there is a scenario of this id beside, where nobody looks."""
    return True


def read_test(
    text: str, file: str, canonical: Canonical = as_is, is_beside: Callable[[str], bool] = anything
) -> Rehearsal:
    """The test that `text` says; raises `ScenarioError` with every finding."""
    reader = _Reader(read(text, file), canonical, is_beside)
    test = reader.test()
    if reader.findings or test is None:
        raise ScenarioError(sorted(reader.findings, key=lambda one: (one.line, one.column)))
    return test


class _Reader(ExpectReader):
    def __init__(self, source: Source, canonical: Canonical, is_beside: Callable[[str], bool]) -> None:
        super().__init__(source)
        self.canonical = canonical
        self.is_beside = is_beside

    def test(self) -> Rehearsal | None:
        """The whole file; None when it is beyond reading."""
        value = self.source.value
        if not isinstance(value, dict):
            self.error("", "a test is a mapping", "`name`, `given`, `when`, `then`")
            return None
        self.known("", value, FIELDS)
        for name in ("name", "then"):
            if not value.get(name):
                self.error(name, f"{name} is missing", f"add `{name}:`")
        given = self.mapping("given", value.get("given"))
        self.zone = self.timezone(given)
        moves = tuple(
            sorted(
                (move for move in map(self.move, *self.items("when", value.get("when"))) if move),
                key=lambda move: move.arrives,
            )
        )
        begun = self.given(given, moves)
        expected = tuple(one for one in map(self.expect, *self.items("then", value.get("then"))) if one)
        self.in_order(expected)
        beside = self.texts("with", value["with"]) if value.get("with") else []
        for index, id in enumerate(beside):
            if not IDENTIFIER.fullmatch(id):
                self.error(f"with/{index}", "this is no scenario's id", "the id of a scenario in the folder beside")
            elif not self.is_beside(id):
                self.error(f"with/{index}", f"there is no scenario {id} beside this one", "its folder's name")
        if begun is None or self.findings:
            return None
        return Rehearsal(
            source=self.source,
            name=self.text("name", value.get("name")),
            beside=tuple(beside),
            given=begun,
            moves=moves,
            expected=expected,
        )

    def timezone(self, given: Json) -> str:
        """The customer's zone, which local times of the test are in."""
        profile = given.get("profile")
        inner = profile.get("timezone") if isinstance(profile, dict) else None
        path = "given/profile/timezone" if inner is not None else "given/timezone"
        told = self.text(path, inner if inner is not None else given.get("timezone"))
        if told and not self.is_zone(told):
            self.error(path, f"{told} is no time zone", "an IANA zone, such as `Europe/Warsaw`")
            return DEFAULT_ZONE
        return told or self.hint(profile if isinstance(profile, dict) else {}) or DEFAULT_ZONE

    def hint(self, profile: Json) -> str | None:
        """Where the customer probably lives, as ingest takes it from telephone number and address."""
        phone, country, code = (profile.get(name) for name in ("phone", "country", "postal_code"))
        return zones.hint(phone=phone, country=country, postal_code=code)

    def given(self, value: Json, moves: tuple[Move, ...]) -> Given | None:
        self.known("given", value, GIVEN)
        profile = self.mapping("given/profile", value.get("profile"))
        past = [move for move in map(self.move, *self.items("given/history", value.get("history"))) if move]
        if "at" in value:
            at = self.moment("given/at", value["at"])
        else:
            told = [move.at for move in (*moves, *past)]
            at = min(told) - BEFORE if told else None
            if at is None and not self.findings:
                self.error("given", "nothing says when the test begins", "add `at: 2026-03-01T00:00` to `given`")
        if at is None:
            return None
        taken = ("consents", "tags", "rfm", "segments")
        both = {name: (profile if name in profile else value).get(name) for name in taken}
        where = {name: f"given/profile/{name}" if name in profile else f"given/{name}" for name in taken}
        traits = {name: plain(told) for name, told in profile.items() if name not in (*taken, "timezone")}
        if self.zone not in (DEFAULT_ZONE, self.hint(profile)):
            traits["timezone"] = self.zone
        if both["tags"]:
            traits["tags"] = self.texts(where["tags"], both["tags"])
        segments = self.texts(where["segments"], both["segments"]) if both["segments"] else []
        caps, wrong = read_caps(self.source, "given/caps", value.get("caps"))
        self.findings += wrong
        return Given(
            at=at,
            zone=self.zone,
            traits=self.fitting("profile.updated", "given/profile", traits) if traits else {},
            reachable=self.reachable(profile, value.get("suppressed")),
            consents=self.consents(where["consents"], both["consents"]),
            arms={
                name: self.text(f"given/arms/{name}", arm)
                for name, arm in self.mapping("given/arms", value.get("arms")).items()
            },
            segments=tuple(segments),
            caps=caps,
            past=(
                *self.known_things(value, at, both["rfm"], where["rfm"]),
                *self.entered(at, segments, where["segments"]),
                *sorted(past, key=lambda one: one.at),
            ),
        )

    def reachable(self, profile: Json, suppressed: Any) -> dict[str, bool]:
        open_ = {way: True for trait, ways in ADDRESSES if profile.get(trait) not in (None, "") for way in ways}
        for index, channel in enumerate(self.texts("given/suppressed", suppressed) if suppressed else []):
            if channel not in CHANNELS:
                self.error(f"given/suppressed/{index}", f"{channel} is no channel", f"one of: {', '.join(CHANNELS)}")
            open_[channel] = False
        return open_

    def known_things(self, value: Json, at: datetime, rfm: Any, where: str) -> list[Move]:
        """`cart`, `order` and `rfm` of the beginning, as the events that told of them."""
        told: list[tuple[str, str, Json]] = []
        for name, type in (("cart", "cart.updated"), ("order", "order.placed")):
            if value.get(name) is not None:
                told.append((f"given/{name}", type, {name: self.mapping(f"given/{name}", value[name])}))
        if rfm is not None:
            scores = {"segment": rfm} if isinstance(rfm, str) else self.mapping(where, rfm)
            rest = {name: score for name, score in scores.items() if name != "segment"}
            told.append((where, "rfm.changed", {"from": None, "to": scores.get("segment"), "scores": rest}))
        return [
            Move(path=path, at=at, arrives=at, type=type, data=self.fitting(type, path, data))
            for path, type, data in told
        ]

    def entered(self, at: datetime, segments: list[str], where: str) -> list[Move]:
        """The segments of the beginning, as the events that told of them."""
        return [
            Move(path=f"{where}/{index}", at=at, arrives=at, type="segment.entered", data={"segment": name})
            for index, name in enumerate(segments)
        ]

    def move(self, path: str, value: Any) -> Move | None:
        """One line of `when`, or of `given/history`."""
        verb = self.verb(path, value, ("event", "consent", CATALOG, *TOUCHES))
        if verb is None:
            return None
        allowed = {"event": EVENT, **{name: ("at", name, "received_at") for name in ("consent", CATALOG)}}
        self.known(path, value, allowed.get(verb, ("at", verb, "url", "received_at")))
        at = self.needed_moment(path, value)
        arrives = self.moment(f"{path}/received_at", value["received_at"]) if "received_at" in value else at
        if at is None or arrives is None:
            return None
        if at - arrives > AHEAD:
            self.error(f"{path}/received_at", "it cannot arrive before it happens", "`at` is when it happened")
        when: dict[str, Any] = {"path": path, "at": at, "arrives": arrives}
        if verb == "consent":
            return Move(**when, consents=self.consents(f"{path}/consent", value["consent"]))
        if verb == CATALOG:
            where = f"{path}/{CATALOG}"
            return Move(**when, product=self.fitting(CATALOG, where, self.mapping(where, value[CATALOG])))
        if verb in TOUCHES:
            of = self.text(f"{path}/{verb}", value[verb])
            url = self.text(f"{path}/url", value.get("url"))
            return Move(**when, type=f"message.{verb}", of=of, url=url)
        return self.event(when, value)

    def event(self, when: dict[str, Any], value: Json) -> Move:
        path = when["path"]
        type = self.text(f"{path}/event", value["event"])
        if not is_event_type(type):
            near = self.nearest(type, (*SHOP_EVENTS, *OWN_EVENTS)) or f"an event of your own begins with `{CUSTOM}`"
            self.error(f"{path}/event", f"no event `{type}` exists", near)
            return Move(**when)
        data = self.mapping(f"{path}/data", value.get("data"))
        told = data.get("consents")
        repeat = self.integer(f"{path}/repeat", value.get("repeat", 0))
        if not 0 <= repeat <= 1000:
            self.error(f"{path}/repeat", "repeat is how often the same event comes again", "0 to 1000")
        return Move(
            **when,
            type=type,
            data=self.fitting(type, f"{path}/data", data),
            id=str(value["id"]) if value.get("id") is not None else "",
            repeat=repeat,
            consents=self.listed(f"{path}/data/consents", told) if told is not None else {},
        )

    def fitting(self, type: str, path: str, data: Json) -> Json:
        """The data as rules gets it: without addresses, amounts as text, looked at by `canonical`."""
        try:
            told = self.canonical(type, plain(data))
        except Unfit as error:
            field = error.field.removeprefix("data").lstrip(".").replace(".", "/").replace("[", "/").replace("]", "")
            at = path if not field or path == f"given/{field.partition('/')[0]}" else f"{path}/{field}"
            self.error(at, f"ingest refuses this: {error.field} {error.text}", "GET /v1/schemas has every event type")
            return {}
        return {name: inner for name, inner in told.items() if name not in KEPT_OUT}

    def consents(self, path: str, value: Any) -> Consents:
        """`{email: [marketing]}`, `{email: {marketing: withdrawn}}`, `{email: withdrawn}`."""
        found: Consents = {}
        for channel, told in self.mapping(path, value).items():
            where = f"{path}/{channel}"
            if channel not in CHANNELS:
                self.error(where, f"{channel} is no channel", f"one of: {', '.join(CHANNELS)}")
            elif isinstance(told, dict):
                for purpose, status in told.items():
                    self.status(found, f"{where}/{purpose}", channel, purpose, status)
            elif isinstance(told, str) and told in STATUSES:
                self.status(found, where, channel, EVERY, told)
            else:
                for purpose in self.texts(where, told):
                    found[channel, purpose] = "granted"
        return found

    def listed(self, path: str, told: Any) -> Consents:
        """The consents that an event brings."""
        found: Consents = {}
        for index, one in enumerate(told if isinstance(told, list) else []):
            if isinstance(one, dict):
                where = f"{path}/{index}/status"
                self.status(found, where, str(one.get("channel")), str(one.get("purpose")), one.get("status"))
        return found

    def status(self, found: Consents, path: str, channel: str, purpose: str, told: Any) -> None:
        for status in STATUSES:
            if status == told:
                found[channel, purpose] = status
                return
        self.error(path, f"{told} is no status of a consent", f"one of: {', '.join(STATUSES)}")


def plain(value: Any) -> Any:
    """Values as JSON has them: decimals as text, never as floats."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value
