"""Lint never fails, whatever is written; and what it lets pass compiles, and runs whatever happens."""

import json
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from cli.rehearse import canonical
from cli.scenario import read_bundle
from libs.domain.lint.check import check_bundle, errors
from libs.domain.lint.steps import sends
from libs.domain.lint.text import events
from libs.domain.rehearsal.read import Unfit, read_test
from libs.domain.rehearsal.rehearse import rehearse
from libs.domain.rehearsal.stage import Stage, prepare
from libs.domain.scenario.parse import parse
from libs.domain.scenario.source import ScenarioError, read
from tests.unit.scenario.test_graph import WHOLE
from tests.unit.scenario.test_schema import CONDITIONS, EVENTS, LENGTHS, SCENARIOS, STEPS, TRIGGER

LIBRARY = Path(__file__).resolve().parents[3] / "scenarios"
MAIL = "---\nsubject: Hello {{ profile.first_name }}\n---\n{{ cart.value }} {{ order.id }} {{ unsubscribe_url }}\n"


def plain(value: Any) -> Any:
    """As JSON has it, which is YAML too."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


TEXTS = [WHOLE, *((folder / "scenario.yaml").read_text() for folder in sorted(LIBRARY.glob("*/*/")) if folder.is_dir()
                  and (folder / "scenario.yaml").is_file())]  # fmt: skip
BASES = [plain(read(text, "x").value) for text in TEXTS]
WORDS = st.sampled_from(
    [
        *("event", "where", "wait", "until", "within", "then", "else", "if", "send", "split", "arms", "name", "tag"),
        *("add", "remove", "set", "webhook", "url", "key", "again", "after", "before", "at", "late", "channels", "for"),
        *("happened", "times", "since", "all", "any", "not", "of", "coupon", "pool", "window", "days", "between"),
        *(
            "exit",
            "steps",
            "priority",
            "purpose",
            "trigger",
            "date",
            "inactive",
            "events",
            "rfm",
            "from",
            "to",
            "drops",
        ),
        *("event.cart.id", "profile.tags", "cart.value", "rfm.segment", "eq", "in", "gte", "exists", "holdout", "a"),
    ]
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 500),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(max_size=6),
    WORDS,
    LENGTHS,
    EVENTS,
    st.sampled_from(["10:00", "24:00", "key", "sent(first)", "enrolled", "999999w", "0d", "{{ x", "exit", "never"]),
    st.sampled_from(
        ["https://[", "http://x", "https://h:0/", "10%", "event.order.planned_delivery", "profile.birthday"]
    ),
    st.just([]),
    st.just({}),
    CONDITIONS,
    STEPS,
    TRIGGER,
).map(deepcopy)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with each of its keys."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    found = [(value, key) for key in keys]
    for key in keys:
        if isinstance(value[key], dict | list):
            found += places(value[key])
    return found


@st.composite
def mutants(draw: st.DrawFn, most: int) -> dict[str, Any]:
    """A scenario with some of its nodes put wrong."""
    made: dict[str, Any] = deepcopy(draw(st.one_of(st.sampled_from(BASES), SCENARIOS)))
    for _ in range(draw(st.integers(0, most))):
        holder, key = draw(st.sampled_from(places(made)))
        what = draw(st.sampled_from(["replace", "replace", "drop", "rename", "swap", "repeat"]))
        if what == "replace":
            holder[key] = draw(VALUES)
        elif what == "drop":
            del holder[key]
        elif what == "rename" and isinstance(holder, dict):
            holder[draw(WORDS)] = holder.pop(key)
        elif what == "repeat" and isinstance(holder, list):
            holder.append(deepcopy(holder[key]))
        else:
            other, place = draw(st.sampled_from(places(made)))
            holder[key] = deepcopy(other[place])
        if not made:
            break
    return made


def files_of(made: dict[str, Any]) -> dict[str, str]:
    """The scenario, with a message wherever it sends one."""
    text = json.dumps(made)
    files = {"scenario.yaml": text}
    try:
        for step in sends(parse(text).steps):
            for channel in step.channels:
                form = "yaml" if channel == "push" else "txt"
                body = {"email": MAIL, "push": "title: Hello\nbody: x\n"}.get(channel, "Hello {{ profile.first_name }}")
                files[f"messages/{step.message}.{channel}.{form}"] = body
    except ScenarioError:
        pass
    return files


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants(6))
def test_whatever_is_written_it_is_read_to_the_end(made: dict[str, Any]) -> None:
    for one in check_bundle(files_of(made)):
        assert one.line >= 1
        assert one.column >= 1
        assert one.message
        assert "cannot be read" not in one.message, one


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.text(max_size=5),
    st.sampled_from(
        ["249.00", "-1", "vip", "pl", "9999-12-31", "0001-01-01", "2026-02-30", "2026-03-08T10:00:00Z", "--02-29"]
    ),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["id", "value"]), st.integers(0, 3), max_size=2),
)
FIELDS = st.sampled_from(
    [
        *("id", "value", "status", "items", "channel", "planned_delivery", "product_id", "price", "old_price", "score"),
        *("category", "at", "valid_until", "warranty_until", "return_until", "customer_type"),
    ]
)
PART = st.one_of(
    ODD, st.dictionaries(FIELDS, ODD, max_size=4), st.builds(lambda id: {"id": id}, st.sampled_from("abc"))
)
ITEMS = [{"product_id": "p1", "name": "Sofa", "price": "249.00", "quantity": 1, "category": "coffee"}]
GOOD: dict[str, Any] = {
    "cart": {"id": "c1", "value": "549.00", "currency": "PLN", "items": ITEMS},
    "order": {"id": "o1", "value": "549.00", "status": "processing", "items": ITEMS, "planned_delivery": "2026-03-20"}
    | {"warranty_until": "2026-05-01", "return_until": "2026-04-01"},
    "product": {"product_id": "p1", "price": "100.00", "old_price": "200.00"},
    "quote": {"id": "q1", "valid_until": "2026-03-30"},
    "appointment": {"id": "a1", "at": "2026-03-29T10:00:00"},
    "tags": ["vip", "x", "campaign-follow-up", "campaign-second-subject"],
    "from": "loyal",
    "to": "at-risk",
    "segment": "vip",
}
DATA = st.one_of(
    st.just(GOOD).map(deepcopy),
    st.dictionaries(
        st.sampled_from(
            [
                *("cart", "order", "product", "quote", "appointment", "survey", "review", "birthday", "first_name"),
                *(
                    "timezone",
                    "language",
                    "from",
                    "to",
                    "scores",
                    "segment",
                    "status",
                    "channel",
                    "purpose",
                    "url",
                    "n",
                ),
                "tags",
            ]
        ),
        PART,
        max_size=5,
    ),
)
TYPES = st.sampled_from(
    [
        *("cart.updated", "cart.cleared", "order.placed", "order.delivered", "order.status_changed", "order.cancelled"),
        *("profile.updated", "profile.registered", "profile.logged_in", "profile.tagged", "profile.untagged"),
        *("product.viewed", "product.back_in_stock", "product.price_changed", "wishlist.added", "wishlist.removed"),
        *("rfm.changed", "segment.entered", "segment.left", "consent.changed", "message.clicked", "message.opened"),
        *("quote.sent", "appointment.booked", "survey.answered", "newsletter.subscribed", "custom.hello"),
    ]
)


@st.composite
def histories(draw: st.DrawFn, of: tuple[str, ...] = ()) -> str:
    """The text of a test: a customer, and what happens in some weeks, in any order; `of` is more likely."""
    types = st.one_of(st.sampled_from(of), TYPES) if of else TYPES
    moves = []
    for _ in range(draw(st.integers(1, 7))):
        at = f"2026-03-{draw(st.integers(1, 28)):02}T{draw(st.integers(0, 23)):02}:15"
        data = draw(DATA)
        tags = data.get("tags")
        if "tags" in data and not isinstance(tags, list):
            data["tags"] = ["vip"]
        type = draw(types)
        try:
            canonical(type, data)
        except Unfit:
            continue  # ingest takes no such event
        moves.append({"at": at, "event": type, "data": data, "repeat": draw(st.integers(0, 1))})
    profile = {
        "email": "a@example.com",
        "consents": {"email": ["marketing"]},
        "birthday": "1990-03-09",
        "first_name": "Anna",
    }
    zone = draw(st.sampled_from(["Europe/Warsaw", "America/New_York", "Asia/Kathmandu"]))
    return json.dumps(
        {
            "name": "made",
            "given": {"at": "2026-02-28T00:00", "profile": {**profile, "timezone": zone}},
            "when": moves,
            "then": ["nothing_more"],
        }
    )


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutants(2), st.data())
def test_what_passes_runs_whatever_happens(made: dict[str, Any], data: st.DataObject) -> None:
    files = files_of(made)
    wrong = errors(check_bundle(files))
    event("passes" if not wrong else "refused")
    if wrong:
        return
    history = data.draw(histories(tuple(sorted({type for _, type in events(made)}))))
    outcome = rehearse(Stage(prepare(files)), read_test(history, "made.yaml", canonical))
    assert outcome.played.faults == []
    event("sent" if any(one.kind == "sent" for one in outcome.played.seen) else "silent")


@pytest.mark.parametrize(
    "folder", sorted(file.parent for file in LIBRARY.rglob("scenario.yaml")), ids=lambda one: one.name
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_library_runs_whatever_happens(folder: Path, data: st.DataObject) -> None:
    files = read_bundle(folder)
    types = {type for _, type in events(read(files["scenario.yaml"], "x").value)}
    history = data.draw(histories(tuple(sorted(types))))
    outcome = rehearse(Stage(prepare(files)), read_test(history, "made.yaml", canonical))
    assert outcome.played.faults == []
