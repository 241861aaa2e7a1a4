"""What an event teaches about the profile: traits, tags, carts, orders, RFM, segments, products that matter.

Each fact goes by the newest event time, whatever the order of arrival; of two at the same time the later to arrive.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.domain.engine import interest
from libs.domain.engine.state import (
    CARTS,
    MARKS,
    ORDERS,
    Dated,
    Happened,
    Json,
    Mark,
    Member,
    Profile,
    keep_newest,
)

TRAIT_EVENTS = frozenset(
    {"profile.registered", "profile.registration_started", "profile.updated", "newsletter.subscribed"}
)
TAG_EVENTS = {"profile.tagged": True, "profile.untagged": False}
SEGMENT_EVENTS = {"segment.entered": True, "segment.left": False}
RFM = "rfm.changed"
CLEARED = "cart.cleared"


@dataclass(slots=True)
class Learned:
    """What an event changed: whether traits did, and which tags came and went."""

    traits: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


NOTHING = Learned()


def learn(profile: Profile, event: Happened, views: bool) -> Learned:
    """Take up what the event says; `views` whether anybody asks which products matter."""
    data, kind = event.data, event.type
    learned = NOTHING
    if kind in TRAIT_EVENTS:
        learned = put(profile, data, event.time)
    elif kind in TAG_EVENTS:
        named = data.get("tags") or data.get("tag") or ()
        tags = named if isinstance(named, list) else [named]
        learned = tag(profile, tags, event.time, on=TAG_EVENTS[kind]) if tags else NOTHING
    elif kind == RFM:
        _rfm(profile, event)
    elif kind in SEGMENT_EVENTS and data.get("segment"):
        _member(profile.segments, str(data["segment"]), event.time, SEGMENT_EVENTS[kind])
    elif kind in interest.WANT_EVENTS:
        if views or kind != "product.viewed":
            interest.want(profile, event, interest.WANT_EVENTS[kind])
    elif kind == "wishlist.removed":
        interest.unwish(profile, event)
    elif kind == interest.ORDER:
        interest.buy(profile, event, views)
    if "timezone_hint" in data and kind not in TRAIT_EVENTS:
        learned = put(profile, {"timezone_hint": data["timezone_hint"]}, event.time)
    if "cart" in data:
        _dated(profile.carts, _emptied(data["cart"]) if kind == CLEARED else data["cart"], event.time, CARTS)
    if "order" in data:
        _dated(profile.orders, data["order"], event.time, ORDERS)
    return learned


def put(profile: Profile, traits: Json, at: datetime) -> Learned:
    """Change traits; a list of tags is the whole of them."""
    learned = Learned()
    for name, value in traits.items():
        if name == "tags" and isinstance(value, list):
            _all_tags(profile, value, at, learned)
        elif profile.traits_at.get(name, at) <= at:
            learned.traits = learned.traits or profile.traits.get(name) != value
            profile.traits[name] = value
            profile.traits_at[name] = at
    return learned


def _all_tags(profile: Profile, value: list[Any], at: datetime, learned: Learned) -> None:
    _seed_tags(profile)
    told = profile.traits_at.get("tags")
    if told is not None and told > at:
        return
    wanted = {str(name) for name in value}
    for name in sorted(wanted | profile.tags.keys()):
        on = name in wanted
        if _mark(profile.tags, name, at, on):
            (learned.added if on else learned.removed).append(name)
    profile.traits_at["tags"] = at
    _show_tags(profile)


def tag(profile: Profile, tags: Iterable[Any], at: datetime, *, on: bool) -> Learned:
    """Add (or remove) tags. Older news than a whole list of tags changes nothing."""
    _seed_tags(profile)
    whole = profile.traits_at.get("tags")
    if whole is not None and whole > at:
        return NOTHING
    learned = Learned()
    for name in dict.fromkeys(str(one) for one in tags):
        if _mark(profile.tags, name, at, on):
            (learned.added if on else learned.removed).append(name)
    _show_tags(profile)
    return learned


def _seed_tags(profile: Profile) -> None:
    """Tags of a document that had no marks yet."""
    if not profile.tags and profile.traits.get("tags"):
        at = profile.traits_at.get("tags") or profile.first
        if at is not None:
            profile.tags = {str(name): Mark(at, True) for name in profile.traits["tags"]}


def _show_tags(profile: Profile) -> None:
    profile.traits["tags"] = sorted(name for name, mark in profile.tags.items() if mark.on)


def _mark(marks: dict[str, Mark], name: str, at: datetime, on: bool) -> bool:
    """Note it; whether that changes how things are now."""
    known = marks.get(name)
    if known is not None and known.at > at:
        return False
    marks[name] = Mark(at, on)
    if len(marks) > MARKS:
        off = [one for one in marks if not marks[one].on] or list(marks)
        del marks[min(off, key=lambda one: marks[one].at)]
    return (known is not None and known.on) is not on


def _member(members: dict[str, Member], name: str, at: datetime, on: bool) -> None:
    """What an event says of a segment that nobody here has judged."""
    known = members.get(name)
    if known is None or (known.at <= at and not known.version):
        members[name] = Member(at, on)


def _rfm(profile: Profile, event: Happened) -> None:
    """`rfm.segment`, `rfm.previous`, `rfm.since`, and the scores by their names."""
    known = profile.rfm
    if known is not None and known.at > event.time:
        return
    scores, segment, previous = event.data.get("scores"), event.data.get("to"), event.data.get("from")
    told = {"segment": segment, "previous": previous, "since": event.time.isoformat()}
    if known is not None and segment == previous == known.data.get("segment"):  # only the scores are others
        told |= {name: known.data.get(name) for name in ("previous", "since")}
    profile.rfm = Dated(event.time, {**(scores if isinstance(scores, dict) else {}), **told})


def _emptied(cart: Any) -> Any:
    """A cart that was cleared has no lines, whether or not the event says so."""
    return {**cart, "items": []} if isinstance(cart, dict) and "items" not in cart else cart


def _dated(dated: dict[str, Dated], told: Any, at: datetime, most: int) -> None:
    if not isinstance(told, dict) or told.get("id") is None:
        return
    key = str(told["id"])
    known = dated.get(key)
    if known is None:
        dated[key] = Dated(at, told)
        keep_newest(dated, most)
    else:
        dated[key] = blend(known, Dated(at, told))


def blend(one: Dated, other: Dated) -> Dated:
    """Both together, each field as told last."""
    first, last = (one, other) if one.at <= other.at else (other, one)
    if not last.older and first.data.keys() <= last.data.keys():
        return last
    data, older = dict(last.data), dict(last.older)
    for name, value in first.data.items():
        at = first.older.get(name, first.at)
        known = older.get(name, last.at) if name in data else None
        if known is None or known < at:
            data[name], older[name] = value, at
    return Dated(last.at, data, older)
