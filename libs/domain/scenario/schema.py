"""JSON Schemas (draft 2020-12) of `scenario.yaml` and of `tests/*.yaml`, for editors.

An editor sees with them what the parser would refuse; what needs knowledge of other files (a message that is not
there, a variable that no event has) is told by lint.
"""

from typing import Any

from libs.domain.scenario.model import DAYS, OPERATORS
from libs.domain.scenario.parse import CHANNELS, IDENTIFIER
from libs.domain.vocabulary import OWN_EVENTS, SHOP_EVENTS

Json = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
STATUSES = ("granted", "requested", "refused", "withdrawn")
SIGNS = ("gt", "gte", "lt", "lte", "eq", "ne")
PATH = r"^(event|profile|cart|order|product|rfm|key)(\.[A-Za-z0-9_-]+)*$"
OF_PROFILE = r"^(?!profile\.segments(\.|$))(profile|cart|order|rfm)(\.[A-Za-z0-9_-]+)+$"
PAST = r"^((?!profile\.segments(\.|$))(profile|cart|order|rfm)(\.[A-Za-z0-9_-]+)+|event(\.[A-Za-z0-9_-]+)*)$"
LENGTH = r"^\s*(\d{1,6}\s*(s|m|min|h|d|w)|\d{1,3}\s*(mo|y))\s*$"
CLOCK = r"^\s*([01]?\d|2[0-3]):[0-5]\d\s*$"
INSTANT = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$"
NAME = r"^[A-Za-z0-9_-]+$"


def ref(name: str) -> Json:
    """A reference to one of the definitions."""
    return {"$ref": f"#/$defs/{name}"}


def obj(required: tuple[str, ...] = (), /, **properties: Any) -> Json:
    """A mapping with these keys and no others; a trailing `_` keeps a key out of Python's way."""
    made: Json = {"type": "object", "properties": {name.rstrip("_"): told for name, told in properties.items()}}
    made |= {"required": list(required)} if required else {}
    return made | {"additionalProperties": False}


def some(item: Json, *, least: int = 1) -> Json:
    """One, or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": least}]}


def text(says: str = "", **rest: Any) -> Json:
    """A text that is not empty."""
    return {"type": "string", "minLength": 1, **({"description": says} if says else {}), **rest}


def scenario_schema() -> Json:
    """Of `scenario.yaml`."""
    return {
        "$schema": DIALECT,
        "$id": "urn:kurant:scenario:1",
        "title": "Kurant scenario, version 1",
        **obj(
            ("kurant", "id", "name", "purpose", "trigger", "steps"),
            kurant={"const": 1, "description": "version of the language"},
            id={"type": "string", "pattern": f"^{IDENTIFIER.pattern}$", "description": "also the folder's name"},
            name=text("as people call it"),
            description={"type": "string"},
            purpose=text("a consent purpose of the shop; `transactional` names its legal basis instead"),
            legal_basis=text("of a transactional scenario, such as `contract`"),
            priority={
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
                "default": 50,
                "description": "of several the higher goes first",
            },
            trigger=ref("trigger"),
            key={**ref("path"), "description": "one running enrolment per value; default: the profile"},
            again={
                "description": "how soon the same profile may enter again",
                "anyOf": [{"enum": ["always", "never"]}, obj(("after",), after=ref("length"))],
            },
            restart={"type": "boolean", "description": "a new trigger of a running key starts its waits anew"},
            exit={**some(ref("exit"), least=0), "description": "ends a run at once, whatever it waits for"},
            window={**ref("window"), "description": "when messages may go out, in the customer's zone"},
            steps={**ref("steps"), "minItems": 1},
        ),
        "$defs": {**_values(), **_conditions(), **_triggers(), **_steps()},
    }


def segment_schema() -> Json:
    """Of `segments/<id>.yaml`."""
    return {
        "$schema": DIALECT,
        "$id": "urn:kurant:segment:1",
        "title": "Kurant segment, version 1",
        **obj(
            ("kurant", "id", "name", "condition"),
            kurant={"const": 1, "description": "version of the language"},
            id={"type": "string", "pattern": f"^{IDENTIFIER.pattern}$", "description": "also the file's name"},
            name=text("as people call it"),
            description={"type": "string"},
            condition={**ref("condition"), "description": "who meets it is in the segment"},
        ),
        "$defs": {**{name: _values()[name] for name in ("event", "length")}, **_of_profile()},
    }


def _of_profile() -> Json:
    """Conditions of a segment: of the profile alone, but for `event.*` of events of the past."""
    parts = {name: told for name, told in _conditions().items() if name != "happened"}
    inner = {**parts["condition"], "patternProperties": {PAST: ref("comparison")}}
    within = {name: some(ref("past")) for name in ("all", "any")} | {"not": ref("past"), "happened": ref("happened")}
    counted = _conditions()["happened"]
    told = {name: one for name, one in counted["properties"].items() if name != "since"}
    return {
        "condition": {**parts["condition"], "patternProperties": {OF_PROFILE: ref("comparison")}},
        "comparison": parts["comparison"],
        "past": {**inner, "properties": within},
        "happened": {**counted, "properties": told | {"where": ref("past")}},
    }


def _values() -> Json:
    events = {"enum": [*SHOP_EVENTS, *OWN_EVENTS]}
    return {
        "event": {"anyOf": [events, {"type": "string", "pattern": r"^custom\..+$"}], "description": "an event type"},
        "path": {"type": "string", "pattern": PATH, "description": "such as event.cart.value"},
        "length": {"type": "string", "pattern": LENGTH, "description": "30m 1h 3d 2w 6mo 1y"},
        "clock": {"type": "string", "pattern": CLOCK, "description": 'in quotes: "09:00"'},
        "days": some({"enum": list(DAYS)}),
        "channel": {"enum": list(CHANNELS)},
        "exit": obj(("event",), event=ref("event"), where=ref("condition")),
        "window": obj(
            between={
                "type": "array",
                "prefixItems": [ref("clock"), {"anyOf": [{"const": "24:00"}, ref("clock")]}],
                "minItems": 2,
                "maxItems": 2,
            },
            days=ref("days"),
            holidays={"const": "skip"},
        ),
    }


def _conditions() -> Json:
    parts = some(ref("condition"))
    compared = dict.fromkeys(OPERATORS, True) | {name: {"type": "array"} for name in ("in", "nin")}
    counted = {name: {"type": "integer"} for name in SIGNS}
    return {
        "condition": {
            "type": "object",
            "minProperties": 1,
            "properties": {"all": parts, "any": parts, "not": ref("condition"), "happened": ref("happened")},
            "patternProperties": {PATH: ref("comparison")},
            "additionalProperties": False,
        },
        "comparison": {
            "description": "a value (equal to it), or operators",
            "if": {"type": "object"},
            "then": {**obj(**compared), "minProperties": 1},
        },
        "happened": obj(
            ("event",),
            event=ref("event"),
            where=ref("condition"),
            within=ref("length"),
            since={"type": "string", "pattern": r"^(enrolled|sent\([A-Za-z0-9_-]+\))$"},
            times={"anyOf": [{"type": "integer"}, {**obj(**counted), "minProperties": 1, "maxProperties": 1}]},
        ),
    }


def _triggers() -> Json:
    names = some(text())
    length = ref("length")
    forms = [
        obj(
            ("event",),
            event=ref("event"),
            where=ref("condition"),
            nth={"type": "integer", "minimum": 1, "description": "the third such event of the profile: 3"},
            statuses={**names, "description": "only orders of these statuses"},
        ),
        obj(
            ("date",),
            date={"type": "string", "pattern": r"^(profile|event)(\.[A-Za-z0-9_-]+)*$"},
            before=length,
            after=length,
            at=ref("clock"),
            every={"const": "year"},
            late=length,
        ),
        obj(("inactive",), inactive=obj(("events", "for"), events=some(ref("event")), for_=length)),
        obj(("rfm",), rfm={**obj(from_=names, to=names), "minProperties": 1}),
        obj(("segment",), segment={**obj(enters=text(), leaves=text()), "minProperties": 1}),
        obj(("tag",), tag={**obj(added=text(), removed=text()), "minProperties": 1}),
        obj(("stock",), stock={"const": "back"}),
        obj(("price",), price=obj(("drops",), drops={"type": "string", "pattern": r"^\d{1,2}(\.\d+)?\s*%?$"})),
    ]
    return {"trigger": {"oneOf": forms, "description": "who enters, and when"}}


def _steps() -> Json:
    length, steps, tags = ref("length"), ref("steps"), some(text())
    waits = [
        obj(("for",), for_=length, at=ref("clock")),
        obj(("until",), until=ref("clock"), days=ref("days")),
        obj(("until",), until=ref("path"), before=length, after=length),
    ]
    split = obj(
        ("name", "arms"),
        name=text("lots are drawn by it"),
        arms={"type": "object", "minProperties": 1, "additionalProperties": {"type": "integer", "minimum": 0}},
    )
    verbs = {
        "wait": obj(("wait",), wait={"anyOf": [length, *waits]}),
        "send": obj(
            ("send",),
            send={"type": "string", "pattern": NAME, "description": "messages/<this>.<channel>.<ext>"},
            channels={**some(ref("channel")), "description": "the first that consent and reachability allow"},
            late={**length, "description": "not later than that after it was due; default 3d"},
            if_=ref("condition"),
            coupon=obj(("pool",), pool=text("of codes"), valid=length, only_for=ref("path")),
            gateway=text(),
        ),
        "if": obj(("if",), if_=ref("condition"), then=steps, else_=steps),
        "until": obj(
            ("until", "within"),
            until=obj(("event",), event=ref("event"), of=text("a message of this scenario"), where=ref("condition")),
            within=length,
            then=steps,
            else_=steps,
        ),
        "split": {
            "type": "object",
            "properties": {"split": split},
            "required": ["split"],
            "additionalProperties": steps,
        },
        "tag": obj(("tag",), tag={"anyOf": [tags, {**obj(add=tags, remove=tags), "minProperties": 1}]}),
        "untag": obj(("untag",), untag={"anyOf": [tags, {**obj(add=tags, remove=tags), "minProperties": 1}]}),
        "set": obj(("set",), set={"type": "object", "minProperties": 1}),
        "webhook": obj(
            ("webhook",),
            webhook={"anyOf": [text(), {"type": "object", "required": ["url"], "properties": {"url": text()}}]},
        ),
    }
    named = {f"{verb}_step": told for verb, told in verbs.items()}
    choice: Json = {"enum": ["exit"]}
    for verb in ("webhook", "set", "untag", "tag", "split", "until", "if", "wait", "send"):
        choice = {"if": {"required": [verb]}, "then": ref(f"{verb}_step"), "else": choice}
    return {
        "steps": {"type": "array", "items": ref("step")},
        "step": {"if": {"type": "object"}, "then": choice, "else": {"const": "exit"}},
        **named,
    }


def rehearsal_schema() -> Json:
    """Of `tests/*.yaml`."""
    events = {"type": "array", "items": ref("move")}
    forms = _expected()
    return {
        "$schema": DIALECT,
        "$id": "urn:kurant:scenario-test:1",
        "title": "Test of a Kurant scenario",
        **obj(
            ("name", "then"),
            name=text(),
            description={"type": "string"},
            with_={"type": "array", "items": text(), "description": "other scenarios that run with this one"},
            given=_given(events),
            when=events,
            then={"type": "array", "minItems": 1, "items": _choice(forms, {"const": "nothing_more"})},
        ),
        "$defs": {
            "instant": {
                "type": "string",
                "pattern": INSTANT,
                "description": "local to the customer, or with an offset",
            },
            "channel": {"enum": list(CHANNELS)},
            "about": {"anyOf": [{"const": True}, text("a scenario")]},
            "key": {"type": ["string", "integer"]},
            "consents": _consents(),
            **{name: _values()[name] for name in ("event", "path", "length")},
            **_conditions(),
            "move": _choice(_moves(), False),
        },
    }


def _expected() -> dict[str, Json]:
    """The lines of `then`, each by the word that says what it is."""
    at = {"at": ref("instant")}
    about: Json = {**at, "because": text(), "scenario": text(), "channel": ref("channel")}
    named = ref("about")
    return {
        "sent": obj(
            ("sent", "at"),
            **at,
            sent=text("a message"),
            channel=ref("channel"),
            language=text(),
            subject=text("is part of the subject"),
            text=text("is part of the text"),
            scenario=text(),
        ),
        **{kind: obj((kind,), **about, **{kind: text("a message")}) for kind in ("suppressed", "expired", "failed")},
        "skipped": obj(("skipped",), **about, skipped=text("a message whose `if` did not hold")),
        "deferred": obj(("deferred", "at"), **about, deferred=text("a message"), until=ref("instant")),
        "entered": obj(("entered",), **at, entered=named, key=ref("key")),
        "webhook": obj(("webhook",), **at, webhook=text("the name of a web address that is called"), scenario=text()),
        "ended": obj(
            ("ended",),
            **at,
            ended={"enum": ["exit", "completed", "holdout", "archived", "merged"]},
            because=text("the event, or `exit step`"),
            scenario=text(),
            key=ref("key"),
        ),
        "waiting_until": obj(("waiting_until",), waiting_until=ref("instant"), scenario=text(), key=ref("key")),
        "not_entered": obj(("not_entered",), not_entered=named, because=text("a part of the reason, or a path")),
        "holds": obj(("holds",), holds={**ref("condition"), "description": "at the end of the test"}),
        "nothing_until": obj(("nothing_until",), nothing_until=ref("instant")),
        "nothing_more": obj(("nothing_more",), nothing_more={"const": True}),
    }


def _choice(forms: dict[str, Json], other: Any) -> Json:
    """By the key that says what a line is about, so that an editor tells what is wrong with that form."""
    choice: Any = False
    for verb, form in reversed(forms.items()):
        choice = {"if": {"required": [verb]}, "then": form, "else": choice}
    return {"if": {"type": "object"}, "then": choice, "else": other}


def _moves() -> dict[str, Json]:
    when = {"at": ref("instant"), "received_at": {**ref("instant"), "description": "when it arrives, if later"}}
    event = obj(
        ("at", "event"),
        **when,
        event=ref("event"),
        data={"type": "object"},
        id={"type": ["string", "integer"]},
        repeat={"type": "integer", "minimum": 0, "maximum": 1000, "description": "so many times more"},
    )
    touches = {
        verb: obj(("at", verb), **when, **{verb: text("a message that was sent")}, url={"type": "string"})
        for verb in ("clicked", "opened", "replied")
    }
    catalog = obj(
        ("at", "catalog"),
        **when,
        catalog={
            "type": "object",
            "required": ["product_id", "name", "price", "currency"],
            "description": "a product, as to /v1/catalog",
        },
    )
    return {
        "event": event,
        "catalog": catalog,
        "consent": obj(("at", "consent"), **when, consent=ref("consents")),
        **touches,
    }


def _given(events: Json) -> Json:
    about: Json = {
        "consents": ref("consents"),
        "tags": some(text()),
        "timezone": text("an IANA zone"),
        "rfm": {"anyOf": [text("a segment"), {"type": "object"}]},
        "segments": {**some(text()), "description": "segments that the customer is in, and that are not judged"},
    }
    return obj(
        at={**ref("instant"), "description": "when the test begins; default: just before the first event"},
        profile={"type": "object", "properties": about, "description": "traits, addresses"},
        cart={"type": "object"},
        order={"type": "object"},
        history={**events, "description": "what happened before the scenario was there"},
        arms={"type": "object", "additionalProperties": text(), "description": "which arm of a split is drawn"},
        suppressed={**some(ref("channel")), "description": "addresses that bounced or complained"},
        caps={"type": "array", "items": _cap(), "description": "how often the shop writes to one customer"},
        **about,
    )


def _cap() -> Json:
    most = {"type": "integer", "minimum": 1, "maximum": 1000, "description": "so many messages in any stretch of `per`"}
    channel = {**ref("channel"), "description": "this one alone; default: all together"}
    return obj(("most", "per"), most=most, per=ref("length"), channel=channel)


def _consents() -> Json:
    statuses = {"enum": list(STATUSES)}
    told = {
        "anyOf": [
            some(text("a purpose, granted; or a status of all")),
            {"type": "object", "additionalProperties": statuses},
        ]
    }
    return {"type": "object", "propertyNames": {"enum": list(CHANNELS)}, "additionalProperties": told}
