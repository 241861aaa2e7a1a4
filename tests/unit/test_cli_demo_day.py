"""The demo day is a plan: times in order, ids unique, nobody twice."""

from datetime import UTC, datetime, timedelta

from cli import demo_day

NOW = datetime(2026, 3, 2, 14, tzinfo=UTC)


def test_opens_at_half_past_nine_in_the_shop() -> None:
    assert demo_day.next_opening(NOW) == datetime(2026, 3, 3, 8, 30, tzinfo=UTC)
    assert demo_day.next_opening(datetime(2026, 7, 3, 1, tzinfo=UTC)) == datetime(2026, 7, 3, 7, 30, tzinfo=UTC)
    just_before = datetime(2026, 3, 3, 8, 20, tzinfo=UTC)
    assert demo_day.next_opening(just_before) == datetime(2026, 3, 4, 8, 30, tzinfo=UTC)


def test_calls_are_in_order_and_within_the_day() -> None:
    day = demo_day.make(NOW, 1)
    moments = [call.at for call in day.calls]
    assert moments == sorted(moments)
    assert day.opening <= moments[0]
    assert moments[-1] < day.over
    assert day.over - day.opening > timedelta(days=3)


def test_an_event_is_never_told_before_it_happens() -> None:
    for call in demo_day.make(NOW, 1).calls:
        for event in call.events:
            assert datetime.fromisoformat(event["time"]) <= call.at


def test_every_run_has_people_and_events_of_its_own() -> None:
    first, second = demo_day.make(NOW, 1), demo_day.make(NOW, 2)
    ids = [{event["id"] for call in day.calls for event in call.events} for day in (first, second)]
    assert not ids[0] & ids[1]
    people = [{customer.email for customer in day.customers} for day in (first, second)]
    assert not people[0] & people[1]
    assert "anna@example.com" in people[0]


def test_money_adds_up() -> None:
    day = demo_day.make(NOW, 1)
    carts = [event["data"]["cart"] for call in day.calls for event in call.events if event["type"] == "cart.updated"]
    assert {"249.00", "338.00", "224.50", "19.00"} <= {cart["value"] for cart in carts}


def test_the_same_event_five_times_over_two_calls() -> None:
    calls = [call for call in demo_day.make(NOW, 1).calls if call.who == "Fela"]
    events = [
        event
        for call in demo_day.make(NOW, 1).calls
        for event in call.events
        if event["type"] == "cart.updated" and event["data"].get("email") == "fela@example.com"
    ]
    assert len(calls) >= 2
    assert len(events) == 5
    assert len({event["id"] for event in events}) == 1


def test_every_call_says_who_does_what() -> None:
    day = demo_day.make(NOW, 1)
    names = {customer.name for customer in day.customers}
    for call in day.calls:
        assert call.who in names | {"shop"}
        assert call.says
        others = names - {call.who}
        assert call.who == "shop" or not any(name in f"{call.says} {call.why}" for name in others), "of nobody else"
