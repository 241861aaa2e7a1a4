"""Calls of the Segment API as CloudEvents: https://segment.com/docs/connections/spec/."""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.domain.intake import Invalid
from libs.domain.intake.ecommerce import translate
from libs.domain.vocabulary import IDENTIFIERS, is_event_type

Json = dict[str, Any]
KINDS = ("identify", "track", "page", "screen", "group", "alias")
ALIASED = "custom.aliased"
"""The type of an alias call: two ids of one customer. Its `data` has `previous_id` beside `user_id`."""
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
OTHER = re.compile(r"[^A-Za-z0-9]+")
LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}")
OTHER_CLOCK = timedelta(days=2)
PRICED = ("cart", "order", "product", "quote")
"""What has a currency."""
MIDNIGHT = re.compile(r"(\d{4}-\d{2}-\d{2})T.*")


def snake(name: str) -> str:
    """`firstName`, `First Name` and `first-name` are `first_name`."""
    return OTHER.sub("_", HUMP.sub("_", name)).strip("_").lower()


def event(call: Json, shop: str, now: datetime) -> Json:
    """One call (with its `type`) as the JSON of a CloudEvent; raises `Invalid` naming the field.

    A call without a `messageId` gets an id from its content, its own time included, so that a repeat is one.
    """
    kind = call.get("type")
    if kind not in KINDS:
        raise Invalid("type", f"must be one of {', '.join(KINDS)}")
    context = _object(call, "context")
    type_, data = MAKERS[kind](call, context)
    data = {name: _priced(value) if name in PRICED else value for name, value in data.items() if value is not None}
    return {
        "specversion": "1.0",
        "id": _id(call),
        "source": f"/shops/{shop}/segment",
        "type": type_,
        "time": happened(call, now),
        "data": _identified(call, context) | data,
    }


def _priced(part: Any) -> Any:
    """With the currency in capitals, as ISO 4217 has it and many shops have not."""
    currency = part.get("currency") if isinstance(part, dict) else None
    return part | {"currency": currency.strip().upper()} if isinstance(currency, str) else part


def merged(call: Json, batch: Mapping[str, Any]) -> Json:
    """A call of a batch with what the batch says for all: `context`, `integrations`, `sentAt`."""
    whole = dict(call)
    for name in ("context", "integrations"):
        shared, own = batch.get(name), call.get(name)
        if isinstance(shared, dict):
            whole[name] = shared | own if isinstance(own, dict) else shared
    if whole.get("sentAt") is None and batch.get("sentAt") is not None:
        whole["sentAt"] = batch["sentAt"]
    return whole


def happened(call: Json, now: datetime) -> str:
    """When it happened by our clock: `receivedAt - (sentAt - originalTimestamp)`.

    A `sentAt` that is days away from us, with an event that is near, is of another clock than the event's: the
    library stamps it with the machine's, while the caller gave the platform's (local mode). Then it corrects nothing.
    """
    told = _moment(call, "originalTimestamp") or _moment(call, "timestamp")
    sent = _moment(call, "sentAt")
    if told is None:
        return now.isoformat()
    if sent is None:
        return told.isoformat()
    if abs(now - sent) > max(OTHER_CLOCK, 10 * abs(now - told)):
        return told.isoformat()
    try:
        return (now - max(sent - told, timedelta())).isoformat()
    except OverflowError:
        raise Invalid("timestamp", "is out of range") from None


def _moment(call: Json, name: str) -> datetime | None:
    value = call.get(name)
    if value is None:
        return None
    try:
        told = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Invalid(name, "is not an ISO 8601 time") from None
    if told.tzinfo is None:
        raise Invalid(name, "has no offset from UTC")
    return told


def _id(call: Json) -> str:
    told = call.get("messageId")
    if isinstance(told, str) and told:
        return told
    dated = any(call.get(name) is not None for name in ("timestamp", "originalTimestamp"))
    aside = ("sentAt", "writeKey") if dated else ("writeKey",)
    content = {name: value for name, value in call.items() if name not in aside}
    return "segment-" + hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:32]


def _object(call: Json, name: str) -> Json:
    value = call.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(name, "must be an object")
    return value


def _text(call: Json, name: str) -> str:
    value = call.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Invalid(name, "is required")
    return value


def _identified(call: Json, context: Json) -> Json:
    """The call's own ids, and addresses that the client library keeps in `context.traits`."""
    found: Json = {}
    traits = context.get("traits")
    if isinstance(traits, dict):
        known = {snake(name): value for name, value in traits.items()}
        found = {name: known[name] for name in IDENTIFIERS if isinstance(known.get(name), str)}
    for ours, theirs in (("user_id", "userId"), ("anonymous_id", "anonymousId")):
        value = call.get(theirs)
        if value is not None:
            found[ours] = value
    return found


def _identify(call: Json, context: Json) -> tuple[str, Json]:
    return "profile.updated", _surroundings(context) | _traits(_object(call, "traits"))


def _group(call: Json, context: Json) -> tuple[str, Json]:
    group = call.get("groupId")
    if isinstance(group, bool) or not isinstance(group, str | int) or not str(group).strip():
        raise Invalid("groupId", "is required")
    return "profile.updated", _surroundings(context) | {"groups": [str(group)]}


def _alias(call: Json, _context: Json) -> tuple[str, Json]:
    for name in ("userId", "previousId"):
        if isinstance(call.get(name), bool) or not isinstance(call.get(name), str | int):
            raise Invalid(name, "is required")
    return ALIASED, {"previous_id": str(call["previousId"])}


def _page(call: Json, context: Json) -> tuple[str, Json]:
    return "custom.page_viewed", _viewed(call, context)


def _screen(call: Json, context: Json) -> tuple[str, Json]:
    return "custom.screen_viewed", _viewed(call, context)


def _viewed(call: Json, context: Json) -> Json:
    page = context.get("page") if isinstance(context.get("page"), dict) else {}
    told = {"name": call.get("name"), "category": call.get("category")}
    return dict(page or {}) | _object(call, "properties") | {name: v for name, v in told.items() if v is not None}


def _track(call: Json, _context: Json) -> tuple[str, Json]:
    name = _text(call, "event").strip()
    properties = _object(call, "properties")
    if is_event_type(name):
        return name, properties
    known = translate(snake(name), properties)
    if known is not None:
        return known
    plain = snake(name)[:100]
    if not plain:
        raise Invalid("event", "holds no letter or digit")
    return f"custom.{plain}", properties


MAKERS = {
    "identify": _identify,
    "track": _track,
    "page": _page,
    "screen": _screen,
    "group": _group,
    "alias": _alias,
}


def _surroundings(context: Json) -> Json:
    """Language and time zone of the browser; whatever does not look like one is left out."""
    found: Json = {}
    locale, zone = context.get("locale"), context.get("timezone")
    if isinstance(locale, str) and LANGUAGE.fullmatch(locale):
        found["language"] = locale.replace("_", "-")
    if isinstance(zone, str) and _is_zone(zone):
        found["timezone"] = zone
    return found


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name).key)
    except (ValueError, OSError, KeyError):
        return False


def _traits(traits: Json) -> Json:
    """Traits under our names. A birthday is a day, a date written as midnight included."""
    found = {snake(name) or name: _inner(value) for name, value in traits.items()}
    found.pop("id", None)
    born = found.get("birthday")
    if isinstance(born, str) and (day := MIDNIGHT.fullmatch(born)):
        found["birthday"] = day[1]
    address = found.get("address")
    if isinstance(address, dict):
        for name in ("city", "postal_code", "country"):
            if isinstance(address.get(name), str):
                found.setdefault(name, address[name])
    return found


def _inner(value: Any) -> Any:
    if isinstance(value, dict):
        return {snake(name) or name: inner for name, inner in value.items()}
    return value
