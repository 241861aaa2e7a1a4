"""Against judging at every moment: the calls miss nothing, and between them nothing changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.engine.state import Happened
from libs.domain.engine.tracks import Track, remember
from libs.domain.scenario.match import History, holds
from libs.domain.scenario.outlook import outlook
from libs.domain.scenario.segment import parse_segment
from tests.unit.engine.world import World

NOW = datetime(2026, 3, 20, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = st.sampled_from(["Europe/Warsaw", "America/New_York", "Pacific/Auckland", "Asia/Kathmandu", "UTC"])
TYPES = ("custom.a", "custom.b")
OPS = ("gt", "gte", "lt", "lte")
SHIFTS = ("", "+1d", "-1d", "+1w", "-2d", "+1mo", "-1mo")


def _happened(type: str, within: int | None, op: str, count: int, where: bool) -> str:
    parts = [f"event: {type}", f"times: {{{op}: {count}}}"]
    parts += [f"within: {within}h"] if within else []
    parts += ["where: {event.n: {gte: 2}}"] if where else []
    return f"{{happened: {{{', '.join(parts)}}}}}"


def _moving(path: str, op: str, wanted: str) -> str:
    return f"{{profile.{path}: {{{op}: {wanted}}}}}"


def _several(word: str, parts: list[str]) -> str:
    return f"{{{word}: [{', '.join(parts)}]}}"


LEAVES = st.one_of(
    st.builds(
        _happened,
        st.sampled_from(TYPES),
        st.one_of(st.none(), st.integers(1, 200)),
        st.sampled_from([*OPS, "eq", "ne"]),
        st.integers(0, 3),
        st.booleans(),
    ),
    st.builds(_moving, st.just("day"), st.sampled_from(OPS), st.sampled_from([f"today{one}" for one in SHIFTS])),
    st.builds(
        _moving,
        st.sampled_from(["day", "moment"]),
        st.sampled_from(OPS),
        st.sampled_from([f"now{one}" for one in (*SHIFTS, "+5h", "-30m")]),
    ),
    st.builds(lambda level: f"{{profile.level: {level}}}", st.sampled_from(["a", "b"])),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(_several, st.sampled_from(["all", "any"]), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: f"{{not: {one}}}", inner),
    ),
    max_leaves=5,
)
MOMENTS = st.integers(-300 * 60, 300 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
EVENTS = st.lists(st.tuples(st.sampled_from(TYPES), MOMENTS, st.integers(1, 3)), max_size=8)
PERSON = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(["a", "b"]),
        "day": MOMENTS.map(lambda at: at.date().isoformat()),
        "moment": MOMENTS.map(lambda at: at.isoformat()),
    },
)


def _condition(text: str) -> Any:
    return parse_segment(f"kurant: 1\nid: s\nname: s\ncondition: {text}\n").condition


@settings(max_examples=400)
@given(CONDITIONS, EVENTS, PERSON, ZONES, st.lists(st.integers(1, 60 * 24 * 60), min_size=1, max_size=12))
def test_until_the_next_moment_nothing_changes(
    text: str, told: list[tuple[str, datetime, int]], person: dict[str, str], zone: str, minutes: list[int]
) -> None:
    condition = _condition(text)
    tracks: dict[str, Track] = {}
    for type, at, n in told:
        if at <= NOW:
            remember(tracks, type, at, {"n": n}, 400)
    scope = {"profile": person, "zone": zone}
    verdict, until = outlook(condition, scope, History(now=NOW, tracks=tracks))
    assert verdict is holds(condition, scope, History(now=NOW, tracks=tracks))
    assert until is None or until > NOW
    moments = [NOW + timedelta(minutes=later) for later in minutes]
    moments += [until - timedelta(microseconds=1)] if until else []
    for moment in moments:
        if until is None or moment < until:
            assert holds(condition, scope, History(now=moment, tracks=tracks)) is verdict, (text, moment, until)


@settings(max_examples=150)
@given(CONDITIONS, EVENTS, PERSON, ZONES, st.data())
def test_whoever_asks_at_any_moment_finds_what_judging_then_would_find(
    text: str, told: list[tuple[str, datetime, int]], person: dict[str, str], zone: str, data: st.DataObject
) -> None:
    """Events arrive late and twice; between them only the wake-up calls judge."""
    world = World()
    world.segment(text, id="s")
    condition = _condition(text)
    world.tell("profile.updated", NOW - 310 * HOUR, timezone=zone, **person)
    arrivals = sorted(
        (max(at, NOW - 300 * HOUR) + data.draw(st.integers(0, 90)) * HOUR / 2, number, type, at, n)
        for number, (type, at, n) in enumerate(told)
    )
    for place, (now, number, type, at, n) in enumerate(arrivals, 1):
        for _ in range(data.draw(st.integers(1, 2))):
            world.tell(type, at, now=now, id=f"e{number}", n=n)
        _compare(world, condition, now)
        later = now + data.draw(st.integers(0, 100)) * HOUR
        later = min([later, *(one[0] for one in arrivals[place:])])
        world.run(later)
        _compare(world, condition, later)
    world.run(NOW + 2000 * HOUR)
    _compare(world, condition, NOW + 2000 * HOUR)
    assert world.balanced()
    assert len(world.calls) <= 1
    times = [at for _, at in world.moves()]
    assert times == sorted(set(times))
    assert [name for name, _ in world.moves()] == [("+s", "-s")[n % 2] for n in range(len(times))]


def _compare(world: World, condition: Any, now: datetime) -> None:
    turn = world.turn(now)
    known = world.profile.segments.get("s")
    wanted = holds(condition, turn.scope(Happened("", now, ""), None), turn.history())
    assert (known is not None and known.on) is wanted
