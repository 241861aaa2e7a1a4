"""Lint of the whole language: each finding at its line, and nothing to say of what is right."""

import pytest

from libs.domain.lint.check import check_bundle
from tests.unit.lint.test_check import HEAD, MAIL, STEPS, bundle

TRIGGER = "trigger:\n  event: cart.updated\n"
BARE = HEAD.replace("key: event.cart.id\n", "")
HEADS = BARE.replace(TRIGGER, "trigger: {}\n")


def told(text: str, **more: str) -> list[tuple[int, str, str]]:
    """Line, severity and message of all findings but infos; mails for two messages are there, sent or not."""
    files = {"scenario.yaml": text, **{f"messages/{name}.email.mjml": MAIL for name in ("first", "second")}, **more}
    found = [one for one in check_bundle(files | more) if one.severity != "info" and "no step sends" not in one.message]
    found += [one for one in check_bundle(files | more) if "no step sends `" in one.message]
    return [(one.line, one.severity, one.message) for one in found]


def steps(text: str, head: str = HEAD) -> list[tuple[int, str, str]]:
    """Of steps after `send: first`, which begin at line 11."""
    return [(line - 10, severity, message) for line, severity, message in told(head + STEPS + text)]


def one(found: list[tuple[int, str, str]], line: int, severity: str, message: str) -> None:
    assert len(found) == 1, found
    assert found[0][:2] == (line, severity), found
    assert message in found[0][2]


@pytest.mark.parametrize(
    "trigger",
    [
        "{event: order.placed, nth: 3}",
        "{event: order.status_changed, statuses: [paid, sent]}",
        "{event: custom.thing, statuses: [done]}",
        '{date: profile.birthday, before: 3d, at: "10:00", every: year}',
        "{date: event.order.planned_delivery, before: 1d}",
        "{date: event.order.warranty_until, before: 30d}",
        "{date: event.renewal_at, after: 1d}",
        "{inactive: {events: [profile.logged_in, order.placed], for: 90d}}",
        "{rfm: {from: [loyal], to: [at-risk]}}",
        "{segment: {enters: vip}}",
        "{tag: {added: vip}}",
    ],
)
def test_every_trigger_is_accepted(trigger: str) -> None:
    assert told(HEADS.replace("{}", trigger) + STEPS) == []


@pytest.mark.parametrize(
    "step",
    [
        "  - until: {event: message.clicked, of: first}\n    within: 2d\n    then: [exit]\n",
        "  - split: {name: s, arms: {a: 50, b: 40, holdout: 10}}\n    a: [{wait: 1h}]\n    b: []\n",
        "  - tag: {add: [x], remove: [y]}\n  - untag: z\n",
        "  - set: {vip_since: 2026, timezone: Europe/Warsaw}\n",
        "  - webhook: {url: 'https://crm.example/hook', name: crm}\n",
        "  - wait: {until: event.order.planned_delivery, before: 1d}\n",
        "  - if: {profile.consents.email.marketing: granted}\n    then: [exit]\n",
        "  - if: {happened: {event: order.placed, within: 400d, times: {gte: 400}}}\n    then: [exit]\n",
        "  - if: {happened: {event: order.placed, times: {gte: 5000}}}\n    then: [exit]\n",
    ],
)
def test_every_step_is_accepted(step: str) -> None:
    assert [found for found in steps(step) if "no cart.updated has `order`" not in found[2]] == []


@pytest.mark.parametrize(
    ("trigger", "severity", "message"),
    [
        ("{event: profile.updated, statuses: [paid]}", "error", "no profile.updated has a status"),
        ("{date: event.order.value}", "error", "event.order.value is no date"),
        ("{date: event.order}", "error", "event.order is no date"),
        ("{date: profile.first_name}", "error", "profile.first_name is no date"),
        ("{date: event.time}", "error", "event.time is no date"),
        ("{date: event.order.planned_delivry}", "warning", "event.order.planned_delivry is not a field"),
        ("{date: event.ordr.planned_delivery}", "warning", "no event that is known has `ordr`"),
        ("{date: profile.birthdya}", "warning", "profile.birthdya is not a field"),
        ("{date: profile.birthday, before: 1d, after: 1d}", "error", "not both"),
        ("{date: profile.birthday, late: 0m}", "error", "late must be longer"),
        ("{date: profile.birthday, every: year, before: 400d}", "error", "every year"),
        ("{inactive: {events: [order.placed], for: 0d}}", "error", "for must be longer"),
        ("{inactive: {events: order.palced, for: 9d}}", "error", "no event `order.palced`"),
        ("{rfm: {from: [loyal], to: [loyal, lost]}}", "warning", "nobody goes from loyal to loyal"),
        ("{rfm: {from: loyl}}", "warning", "loyl is no segment of the ready-made map"),
        ("{rfm: {from: [our-own], to: [lost, champoin]}}", "warning", "champoin is no segment of the ready-made map"),
        ("{event: cart.updated, where: {key: c-1}}", "error", "no key yet"),
        ("{event: cart.updated, where: {event.cart.id: {eq: key}}}", "error", "no key yet"),
        (
            "{event: cart.updated, where: {happened: {event: order.placed, since: enrolled}}}",
            "error",
            "no meaning here",
        ),
        ("{event: cart.updated, where: {event.order.id: x}}", "warning", "no cart.updated has `order`"),
        ("{event: cart.updated, where: {event.quote.id: x}}", "warning", "no cart.updated has `quote`"),
        ("{event: cart.updated, where: {event.city: x}}", "warning", "no cart.updated has `city`"),
        ("{event: cart.updated, where: {event.email: x}}", "error", "event.email is never seen"),
        ("{event: cart.updated, where: {event.crat.id: x}}", "warning", "event.crat.id is not a field"),
        ("{event: message.clicked, where: {event.ulr: x}}", "warning", "event.ulr is not a field"),
    ],
)
def test_triggers(trigger: str, severity: str, message: str) -> None:
    one(told(HEADS.replace("{}", trigger) + STEPS), 5, severity, message)


def test_what_a_price_drops_by() -> None:
    found = told(HEADS.replace("{}", "{price: {drops: 0.0%}}") + STEPS)
    assert [message for _, severity, message in found if severity == "error"] == ["a drop of nothing is no drop"]


@pytest.mark.parametrize(
    ("condition", "severity", "message"),
    [
        ("{cart.items.0.prise: 1}", "warning", "cart.items.0.prise is not a field"),
        ("{cart.items.price: 1}", "warning", "items are a list"),
        ("{key.id: 1}", "error", "key is one value"),
        ("{profile.email: {exists: true}}", "error", "profile.email is never seen"),
        ("{profile.consents.fax.marketing: granted}", "error", "fax is no channel"),
        ("{profile.consents.email: granted}", "error", "profile.consents.email is no status"),
        ("{profile.consents.sms: {in: [granted]}}", "error", "profile.consents.sms is no status"),
        ("{profile.consents: {ne: granted}}", "error", "profile.consents is no status"),
        ("{profile.consents.email.marketing: yes}", "error", "yes is no status"),
        ("{profile.consents.email.marketing: {in: [granted, asked]}}", "error", "asked is no status"),
        ("{profile.tags: vip}", "error", "profile.tags is a list"),
        ("{profile.groups: {ne: vip}}", "error", "profile.groups is a list"),
        ("{rfm.recency: 5}", "warning", "rfm.recency is not known"),
        ("{rfm.segment: champoin}", "warning", "champoin is no segment"),
        ("{cart.value: {gte: many}}", "warning", "cart.value is a number"),
        ("{cart.value: {gte: [1, 2]}}", "error", "gte compares with one value"),
        ("{cart.id: [a, b]}", "warning", "eq compares with one value"),
        ("{cart.id: {in: []}}", "error", "in of an empty list"),
        ("{cart.id: null}", "error", "compared with nothing"),
        ("{cart.id: {exists: maybe}}", "error", "exists is `true` or `false`"),
        ("{cart.id: {eq: {a: 1}}}", "error", "compares with one value"),
        ("{happened: {event: order.placed, where: {event.cart.id: x}}}", "warning", "no order.placed has `cart`"),
        ("{happened: {event: order.placed, within: 0d}}", "error", "within must be longer"),
        ("{happened: {event: order.placed, within: 3d, since: enrolled}}", "error", "exclude each other"),
        ("{happened: {event: order.placed, within: 3d, times: {gte: 401}}}", "error", "400 events of a type"),
        ("{happened: {event: order.placed, since: enrolled, times: 400}}", "error", "400 events of a type"),
        ("{happened: {event: order.placed, times: {lt: 0}}}", "error", "less often than never"),
        ("{happened: {event: order.placed, times: {gte: 0}}}", "warning", "always true"),
        ("{happened: {event: order.placed, since: sent(second)}}", "error", "no step sends `second`"),
        ("{profile.contract_end: today}", "error", "today cannot be compared with"),
        ("{profile.contract_end: today+5d}", "error", "today+5d cannot be compared with"),
        ("{profile.contract_end: {in: [today]}}", "error", "today cannot be compared with"),
        ("{profile.contract_end: {eq: now}}", "error", "now cannot be compared with"),
        ("{any: [{cart.id: x}, {not: {cart.vlaue: 1}}]}", "warning", "cart.vlaue is not a field"),
    ],
)
def test_conditions(condition: str, severity: str, message: str) -> None:
    one(steps(f"  - if: {condition}\n    then: [exit]\n"), 1, severity, message)


@pytest.mark.parametrize(
    "condition",
    [
        "{cart.colour: red}",
        "{profile.vip_since: {lt: 2026}}",
        "{profile.tags: {in: [vip, new]}}",
        "{profile.consents.sms: {exists: true}}",
        "{profile.consents.email: {contains: marketing}}",
        "{profile.consents.sms.news: {ne: granted}}",
        "{rfm.segment: our-own}",
        "{rfm.r: {gte: 4}}",
        "{cart.value: {gte: '49.90'}}",
        "{cart.items.0.colour: red}",
        "{event.campaign.code: today-only}",
        "{cart.colour: {in: [now-or-never]}}",
        "{cart.colour: {contains: today}}",
        "{event.campaign.title: x}",
        "{key: c-1}",
        "{happened: {event: message.clicked, where: {event.name: first}, since: sent(first)}}",
        "{happened: {event: custom.any, where: {event.cart.foo: 1}}}",
    ],
)
def test_conditions_with_nothing_to_say_of(condition: str) -> None:
    assert steps(f"  - if: {condition}\n    then: [exit]\n") == []


@pytest.mark.parametrize("where", ["{event.order.id: {eq: key}}", "{key: o-1}"])
def test_without_a_key_nothing_is_equal_to_it(where: str) -> None:
    way = f"exit: [{{event: order.placed, where: {where}}}]\nsteps:\n"
    one(told(BARE.replace("steps:\n", way) + STEPS), 7, "error", "without `key:`")
    assert told(HEAD.replace("steps:\n", way) + STEPS) == []


@pytest.mark.parametrize("since", ["enrolled", "sent(first)"])
def test_nothing_is_since_a_run_where_an_exit_is_judged(since: str) -> None:
    way = f"exit: [{{event: order.paid, where: {{happened: {{event: order.placed, since: {since}}}}}}}]\nsteps:\n"
    one(told(HEAD.replace("steps:\n", way) + STEPS), 8, "error", "no meaning here")


@pytest.mark.parametrize(
    ("line", "severity", "message"),
    [
        ("purpose: Marketing mails", "error", "no purpose that a consent can name"),
        ("purpose: marketting", "warning", "only who consented to `marketting`"),
        ("priority: 101", "error", "from 0 to 100"),
        ("priority: -1", "error", "from 0 to 100"),
        ("again: {after: 0d}", "error", "after nothing means always"),
        ("again:", "error", "again says nothing"),
        ("exit:", "error", "exit says nothing"),
        ("key:", "error", "key says nothing"),
        ("window:", "error", "window says nothing"),
        ('window: {between: ["09:00", "09:00"]}', "error", "never open"),
        ('window: {between: ["20:00", "09:00"]}', "warning", "open over night, from 20:00 to 09:00"),
        ("window: {}", "warning", "always open"),
        ("window: {days: []}", "error", "nothing is named here"),
        ("key: key", "error", "cannot be itself"),
        ("key: event.order.id", "warning", "no cart.updated has `order`"),
        ("key: event.cart.di", "warning", "event.cart.di is not a field"),
    ],
)
def test_the_head(line: str, severity: str, message: str) -> None:
    name = line.partition(":")[0]
    kept = "\n".join(one for one in HEAD.splitlines() if not one.startswith(f"{name}:"))
    found = told(kept.replace("steps:", f"{line}\nsteps:") + "\n" + STEPS)
    assert [(level, message in words) for _, level, words in found] == [(severity, True)], found


@pytest.mark.parametrize("trigger", ["{date: profile.birthday}", "{inactive: {events: [order.placed], for: 9d}}"])
def test_a_key_where_no_event_is(trigger: str) -> None:
    head = HEAD.replace(TRIGGER, f"trigger: {trigger}\n")
    one(told(head + STEPS), 6, "warning", "no event starts this scenario")


@pytest.mark.parametrize(
    ("step", "line", "severity", "message"),
    [
        ("  - until: {event: message.clicked, of: first}\n    within: 0h\n", 2, "error", "within must be longer"),
        ("  - until: {event: order.placed, of: first}\n    within: 1h\n", 1, "error", "is of no message"),
        ("  - until: {event: message.clicked, of: frist}\n    within: 1h\n", 1, "error", "no step sends `frist`"),
        ("  - if: {cart.value: 1}\n", 1, "warning", "nothing follows from this `if`"),
        ("  - if: {cart.value: 1}\n    then: []\n    else:\n", 1, "warning", "nothing follows from this `if`"),
        ("  - split: {name: s, arms: {a: 0, b: 1}}\n    a: []\n    b: []\n", 1, "warning", "nobody draws a"),
        ("  - split: {name: s, arms: {a: 0, b: 0}}\n    a: []\n    b: []\n", 1, "error", "shares are numbers"),
        ("  - split: {name: s, arms: {a: -1, b: 3}}\n    a: []\n    b: []\n", 1, "error", "shares are numbers"),
        ("  - split: {name: s, arms: {a: 0.5, b: 99.5}}\n    a: []\n    b: []\n", 1, "error", "0.5 is none"),
        ("  - split: {name: s, arms: {a: 1, b: half}}\n    a: []\n    b: []\n", 1, "error", "half is none"),
        ("  - split: {name: s, arms: {a: 1, b: }}\n    a: []\n    b: []\n", 1, "error", "b has no share"),
        ("  - split: {name: s, arms: {a: 1, b: 1}}\n    a: []\n", 1, "warning", "the arm b has no steps"),
        ("  - split: {name: s, arms: {a/b: 1}}\n    a/b: []\n", 1, "error", "an arm has a name"),
        ("  - split: {name: s, arms: {a: 1}, arm: 1}\n    a: []\n", 1, "error", "arm is not known here"),
        ("  - tag: {add: [x], remove: [x]}\n", 1, "error", "x is added and removed"),
        ("  - tag: {ad: [x], add: [y]}\n", 1, "error", "ad is not known here"),
        ("  - set: {email: x}\n", 1, "error", "email is kept by consent alone"),
        ("  - set: {tags: [x]}\n", 1, "error", "tags cannot be set"),
        ("  - set: {a.b: 1}\n", 1, "error", "one field of the profile"),
        ("  - set: {timezone: Warsaw}\n", 1, "error", "Warsaw is no time zone"),
        ("  - set: {language: 5}\n", 1, "error", "language is text"),
        ("  - set: {groups: b2b}\n", 1, "error", "groups are a list"),
        ("  - set: {birthday: tomorrow}\n", 1, "error", "tomorrow is no day"),
        ('  - set: {note: "\\ud800"}\n', 1, "error", "half a character"),
        ("  - webhook: {url: 'http://crm.example/x'}\n", 1, "error", "by https"),
        ("  - webhook: {url: crm.example/x}\n", 1, "error", "this is no address"),
        ("  - webhook: {url: 'https://a b/x'}\n", 1, "error", "this is no address"),
        ("  - webhook: {url: 'https://crm.example:99999/x'}\n", 1, "error", "this is no address"),
        ("  - webhook: {url: 'https://me:secret@crm.example/x'}\n", 1, "error", "no secret"),
        ("  - webhook: {url: 'https://10.0.0.7/x'}\n", 1, "warning", "private address"),
        ("  - webhook: {url: 'http://127.0.0.1:8000/x'}\n", 1, "warning", "local mode only"),
        ("  - webhook: {url: 'https://crm.example/x', nme: a}\n", 1, "error", "nme is not known here"),
        ("  - wait: {until: event.d, before: 1d, after: 3d}\n", 1, "error", "before it or after it, not both"),
        ("  - wait: {until: event.d, before: 1mo, after: 3d}\n", 1, "error", "before it or after it, not both"),
        ("  - wait: {until: cart.value}\n", 1, "error", "cart.value is no date"),
        ("  - wait: {until: event.appointment.at}\n", 1, "warning", "no cart.updated has `appointment`"),
    ],
)
def test_steps(step: str, line: int, severity: str, message: str) -> None:
    one(steps(step), line, severity, message)


def test_the_holdout_gets_nothing() -> None:
    arm = "  - split: {name: s, arms: {a: 9, holdout: 1}}\n    a: []\n    holdout:\n      - wait: 1h\n      - {}\n"
    one(steps(arm.replace("{}", "send: second")), 3, "error", "the arm `holdout` gets nothing")
    one(steps(arm.replace("{}", "webhook: https://crm.example/x")), 3, "error", "the arm `holdout` gets nothing")
    assert steps(arm.replace("{}", "tag: held")) == []


def test_a_scenario_that_only_changes_the_profile_does_something() -> None:
    assert told(HEAD + "  - tag: vip\n") == []


@pytest.mark.parametrize(
    ("variable", "severity", "message"),
    [
        ("event.order.id", "warning", "no cart.updated has `order`"),
        ("event.first_name", "warning", "no cart.updated has `first_name`"),
        ("profile.email", "error", "profile.email is never seen"),
        ("rfm.recency", "warning", "rfm.recency is not known"),
        ("coupon.code", "warning", "coupon is not available in this version"),
    ],
)
def test_variables_of_messages(variable: str, severity: str, message: str) -> None:
    mail = MAIL.replace("profile.first_name", variable)
    found = [one for one in check_bundle(bundle(mail=mail)) if one.file != "scenario.yaml"]
    assert [(one.line, one.severity) for one in found] == [(8, severity)]
    assert message in found[0].message


@pytest.mark.parametrize("variable", ["event.cart.colour", "event.campaign.title", "rfm.segment", "profile.shoe_size"])
def test_variables_with_nothing_to_say_of(variable: str) -> None:
    assert check_bundle(bundle(mail=MAIL.replace("profile.first_name", variable))) == []


@pytest.mark.parametrize("used", ["{{ product.price }}", "{% if product %}one{% endif %}"])
def test_a_product_in_a_message_where_no_trigger_tells_of_one(used: str) -> None:
    mail = MAIL.replace("{{ profile.first_name }}", used)
    found = check_bundle(bundle(mail=mail))
    assert [(one.file, one.line, one.severity) for one in found] == [("messages/first.email.mjml", 8, "error")]
    assert "of the product that a trigger tells of, and there is none here" in found[0].message
    subject = check_bundle(bundle(mail=MAIL.replace("Your cart", f'"{used}"')))
    assert [(one.line, one.severity) for one in subject] == [(2, "error")]
    for trigger in ("event: wishlist.added", "event: custom.seen", "stock: back", "price: {drops: 10%}"):
        head = BARE.replace("event: cart.updated", trigger)
        assert check_bundle(bundle(head=head, mail=mail)) == [], trigger


def test_a_line_of_a_cart_that_is_called_product() -> None:
    used = "{% for product in cart.items %}{{ product.price }}{% endfor %}"
    assert check_bundle(bundle(mail=MAIL.replace("{{ profile.first_name }}", used))) == []


def test_what_a_look_at_the_past_costs() -> None:
    asked = "{happened: {event: order.placed, where: {event.order.value: {gte: 5}}, within: 30d}}"
    found = check_bundle(bundle(STEPS + f"    if: {asked}\n"))
    assert [(one.line, one.severity) for one in found] == [(11, "info")]
    assert found[0].message == (
        "for this the last 400 `order.placed` of each customer are kept with order.value: 12 kB of one who has so many"
    )
    assert len(check_bundle(bundle(STEPS + f"    if: {{all: [{asked}, {asked}]}}\n"))) == 1
