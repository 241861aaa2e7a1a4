"""Zones by telephone, country and postal code: certain, or none."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from libs.domain.intake.countries import SEVERAL, SINGLE
from libs.domain.intake.zones import ELSEWHERE, POSTAL, hint

WEEKS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(weeks=week) for week in range(520)]
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def zone_tab() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (files("tzdata") / "zoneinfo" / "zone.tab").read_text().splitlines():
        if line and not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            found.setdefault(country, []).append(zone)
    return found


def clock(zone: str) -> tuple[timedelta | None, ...]:
    return tuple(moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in WEEKS)


def test_the_tables_are_those_of_the_database() -> None:
    told = zone_tab()
    one = {country for country, zones in told.items() if len({clock(zone) for zone in zones}) == 1}
    assert {country: zones[0] for country, zones in told.items() if country in one} == SINGLE
    assert {country: frozenset(zones) for country, zones in told.items() if country not in one} == SEVERAL


@pytest.mark.parametrize("region", REGIONS)
def test_every_hint_of_a_number_is_a_zone_of_its_region(region: str) -> None:
    for kind in PhoneNumberType.values():
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        own = phonenumbers.region_code_for_number(number)
        found = hint(phone=text)
        if own in SINGLE:
            assert found == SINGLE[own]
        else:
            assert found is None or found in SEVERAL[own]
        assert found is None or found in available_timezones()


@pytest.mark.parametrize(
    ("phone", "zone"),
    [
        ("+48601000000", "Europe/Warsaw"),
        ("+4915112345678", "Europe/Berlin"),
        ("+37061234567", "Europe/Vilnius"),
        ("+12125550123", "America/New_York"),
        ("+13105550123", "America/Los_Angeles"),
        ("+12423221234", "America/Nassau"),
        ("+299321000", "America/Nuuk"),
        ("+34612345678", None),
        ("+18005550123", None),
        ("+80012345678", None),
        ("+74012123456", None),
        ("anything", None),
    ],
)
def test_a_number_tells_its_zone_or_nothing(phone: str, zone: str | None) -> None:
    """+7 401 is Kaliningrad, for which the data names a zone of another clock: none is better."""
    assert hint(phone=phone) == zone


@pytest.mark.parametrize(
    ("country", "code", "zone"),
    [
        ("PL", None, "Europe/Warsaw"),
        (" de ", "27498", "Europe/Berlin"),
        ("UK", "SW1A 1AA", "Europe/London"),
        ("US", None, None),
        ("US", "10001-1234", "America/New_York"),
        ("US", "33101", None),
        ("US", "96799", None),
        ("us", "85001", "America/Phoenix"),
        ("CA", "k1a 0b1", "America/Toronto"),
        ("CA", "S9V 0A1", None),
        ("AU", "2000", "Australia/Sydney"),
        ("AU", "2880", "Australia/Adelaide"),
        ("AU", "0800", "Australia/Darwin"),
        ("ES", "28001", "Europe/Madrid"),
        ("ES", "35001", "Atlantic/Canary"),
        ("ES", "", None),
        ("PT", "9500-150", "Atlantic/Azores"),
        ("FR", "75001", "Europe/Paris"),
        ("FR", "97200", "America/Martinique"),
        ("FR", "98714", None),
        ("DK", "3900", None),
        (None, "00-950", "Europe/Warsaw"),
        (None, "10001", None),
        ("Poland", None, None),
        ("", "", None),
    ],
)
def test_a_place_tells_its_zone_or_nothing(country: str | None, code: str | None, zone: str | None) -> None:
    assert hint(country=country, postal_code=code) == zone


def test_the_telephone_goes_first_and_one_that_tells_nothing_lets_the_place_speak() -> None:
    assert hint(phone="+48601000000", country="US", postal_code="10001") == "Europe/Warsaw"
    assert hint(phone="+34612345678", country="ES", postal_code="35001") == "Atlantic/Canary"


@pytest.mark.parametrize("value", [None, 5, True, ["PL"], {"PL": 1}, "\0", "x" * 10_000])
def test_whatever_is_no_text_tells_nothing(value: object) -> None:
    assert hint(phone=value, country=value, postal_code=value) is None


def test_every_zone_of_the_postal_tables_is_known_and_of_its_country() -> None:
    for country, table in POSTAL.items():
        assert {zone for zone in table.values() if zone} <= SEVERAL[country]
    for table in ELSEWHERE.values():
        assert {zone for zone in table.values() if zone} <= available_timezones()


@pytest.mark.parametrize("kind", [phonenumbers.PhoneNumberType.MOBILE])
def test_most_regions_have_a_hint_for_a_mobile_number(kind: int) -> None:
    numbers = [phonenumbers.example_number_for_type(region, kind) for region in REGIONS]
    texts = [phonenumbers.format_number(one, phonenumbers.PhoneNumberFormat.E164) for one in numbers if one]
    assert sum(hint(phone=text) is not None for text in texts) > 0.9 * len(texts)
