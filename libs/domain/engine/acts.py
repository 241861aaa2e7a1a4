"""What a step does: draws lots, changes tags and traits, asks for a message or a call of a web address."""

from datetime import timedelta
from hashlib import blake2b
from typing import Any

from libs.domain import ids
from libs.domain.engine import learn
from libs.domain.engine.learn import Learned
from libs.domain.engine.program import Hook, Lot, Mark, Program, Put, Send
from libs.domain.engine.state import Enrolment, Happened
from libs.domain.engine.trace import trace
from libs.domain.engine.turn import Request, Told, Turn

LATE = timedelta(days=3)
"""How late a message may be sent when its step does not say."""
DEEPEST = 8
"""How long a chain of scenarios may be in which each reacts to what the one before has changed."""
SOURCE = "/kurant/rules"
SCOPES = ("profile", "event", "cart", "order", "rfm", "key")


def draw(turn: Turn, enrolment: Enrolment, step: Lot) -> int:
    """Where to go on: the arm is the same for a profile and a split whenever it is drawn."""
    text = "\n".join((turn.shop, enrolment.scenario, step.name, turn.profile_id))
    lot = int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
    total = sum(share for _, share, _ in step.arms)
    drawn, place = step.arms[-1][0], step.arms[-1][2]
    reached = 0
    for arm, share, begins in step.arms:
        reached += share
        if lot * total < reached << 64:
            drawn, place = arm, begins
            break
    enrolment.arms = {**enrolment.arms, step.name: drawn}
    trace(enrolment, step.path, turn.now, f"arm {drawn}", step.name)
    return place


def mark(turn: Turn, enrolment: Enrolment, step: Mark) -> bool:
    """Change tags; whether others are told of it first."""
    added = learn.tag(turn.profile, step.add, enrolment.at, on=True) if step.add else learn.NOTHING
    removed = learn.tag(turn.profile, step.remove, enrolment.at, on=False) if step.remove else learn.NOTHING
    names = [f"+{name}" for name in added.added] + [f"-{name}" for name in removed.removed]
    trace(enrolment, step.path, turn.now, "tagged" if step.add else "untagged", ", ".join(names) or "nothing changed")
    told = False
    if added.added:
        told = _tell(turn, enrolment, step.path, "profile.tagged", {"tags": added.added}, added)
    if removed.removed:
        told = _tell(turn, enrolment, step.path, "profile.untagged", {"tags": removed.removed}, removed) or told
    return told


def put(turn: Turn, enrolment: Enrolment, step: Put) -> bool:
    """Change traits; whether others are told of it first."""
    learned = learn.put(turn.profile, step.traits, enrolment.at)
    changed = learned.traits or learned.added or learned.removed
    trace(enrolment, step.path, turn.now, "set", ", ".join(step.traits) if changed else "nothing changed")
    return bool(changed) and _tell(turn, enrolment, step.path, "profile.updated", step.traits, learned)


def _tell(turn: Turn, enrolment: Enrolment, path: str, type: str, data: dict[str, Any], learned: Learned) -> bool:
    """Let all scenarios react, in this turn. A chain that is too long ends here, and says so."""
    if turn.depth >= DEEPEST:
        trace(enrolment, path, turn.now, "not told", f"scenarios have changed this profile {DEEPEST} times in a row")
        return False
    digest = ids.event_digest(turn.shop, SOURCE, f"{enrolment.id}/{path}/{enrolment.round}/{type}")
    event = Happened(type, enrolment.at, f"{digest:015x}", {**data, "by": enrolment.scenario})
    turn.told.append(Told(event=event, added=learned.added, removed=learned.removed, depth=turn.depth + 1))
    return True


def request(turn: Turn, enrolment: Enrolment, program: Program, step: Send | Hook) -> Request:
    """The message (or the call of a web address) that the step asks for."""
    scope = turn.scope_of(enrolment)
    traits = turn.profile.traits
    context = {name: scope[name] for name in SCOPES}
    if "product" in scope:
        context["product"] = scope["product"]
    late = LATE
    if isinstance(step, Hook):
        context["webhook"] = step.request
    elif step.late is not None:
        late = step.late
    return Request(
        message=ids.message_id(enrolment.id, step.path, enrolment.round),
        scenario=program.id,
        version=program.version,
        enrolment=enrolment.id,
        path=step.path,
        name=step.name,
        channels=["webhook"] if isinstance(step, Hook) else list(step.channels),
        purpose=program.purpose,
        due_at=enrolment.at,
        expires_at=enrolment.at + late,
        cause_at=turn.cause_at,
        language=traits.get("language"),
        timezone=turn.zone(),
        context=context,
        contacts_at=dict(turn.profile.contacts_at),
        traceparent=enrolment.traceparent,
        priority=program.priority,
        arms=dict(enrolment.arms),
    )
