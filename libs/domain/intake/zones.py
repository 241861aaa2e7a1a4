"""In which time zone a customer probably lives, by a telephone number, else by country and postal code.

A hint, not knowledge: whatever is not certain gives none. Postal codes decide only in countries with several clocks
of which a small table is known: whole states and provinces, those that a zone's border crosses left out.
"""

import re
from functools import lru_cache

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from libs.domain.intake.countries import SEVERAL, SINGLE

RENAMED = {
    "America/Godthab": "America/Nuuk",
    "Asia/Choibalsan": "Asia/Ulaanbaatar",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}
"""Names that the telephone data still has, and those of `zone.tab`."""
COLLOQUIAL = {"UK": "GB", "EL": "GR"}
POLISH = re.compile(r"\d{2}-\d{3}")
"""The one country that writes its postal codes so."""
OTHER = re.compile(r"[^0-9A-Z]")


def hint(*, phone: object = None, country: object = None, postal_code: object = None) -> str | None:
    """The IANA zone that these tell, if they tell one. `phone` is E.164; it goes first, people move with it."""
    zone = _of_phone(phone) if isinstance(phone, str) else None
    if zone is None and (isinstance(country, str) or isinstance(postal_code, str)):
        zone = _of_place(_text(country), _text(postal_code))
    return zone


def _text(value: object) -> str:
    return value.strip().upper()[:40] if isinstance(value, str) else ""


@lru_cache(maxsize=50_000)
def _of_phone(text: str) -> str | None:
    """By the number's region where one clock holds, else by the number's own prefix."""
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return None
    region = phonenumbers.region_code_for_number(number) or ""
    if region in SINGLE:
        return SINGLE[region]
    told = time_zones_for_number(number)
    zone = RENAMED.get(told[0], told[0]) if len(told) == 1 else None
    return zone if zone in SEVERAL.get(region, ()) else None


@lru_cache(maxsize=50_000)
def _of_place(country: str, postal_code: str) -> str | None:
    country = COLLOQUIAL.get(country, country)
    if not country and POLISH.fullmatch(postal_code):
        country = "PL"
    code = OTHER.sub("", postal_code)
    if country in POSTAL and code:
        return _of_code(country, code)
    if country in ELSEWHERE and code.startswith(tuple(ELSEWHERE[country])):
        return next((zone for prefix, zone in ELSEWHERE[country].items() if code.startswith(prefix)), None)
    return SINGLE.get(country)


def _of_code(country: str, code: str) -> str | None:
    """By the longest prefix that the table has."""
    table = POSTAL[country]
    for length in range(min(len(code), LONGEST), 0, -1):
        if code[:length] in table:
            return table[code[:length]]
    return None


def _table(text: str) -> dict[str, str | None]:
    """Rows of `zone prefix first-last ...`; the zone `-` is for what is not certain."""
    found: dict[str, str | None] = {}
    for row in text.strip().splitlines():
        zone, *told = row.split()
        for prefixes in told:
            first, _, last = prefixes.partition("-")
            every = [f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1)] if last else [first]
            found |= dict.fromkeys(every, None if zone == "-" else zone)
    return found


POSTAL: dict[str, dict[str, str | None]] = {
    # USPS three-digit prefixes; states within one zone (49 CFR 71), and the parts of TX and MI that are
    "US": _table("""
America/New_York 005 010-089 100-199 200-219 220-246 247-268 270-299 300-319 398-399 430-459
America/Detroit 480-497
America/Chicago 350-352 354-362 364-367 386-397 500-528 530-549 550-567 600-629 630-658 700-729 730-738 740-749
America/Chicago 750-797
America/Denver 590-599 800-816 820-831 840-847 870-884
America/Phoenix 850-864
America/Los_Angeles 900-961 980-994
Pacific/Honolulu 967-968
- 96799
"""),
    # Canada Post: the first letter is the province
    "CA": _table("""
America/St_Johns A
America/Halifax B C
America/Moncton E
America/Toronto G H J K L M N
America/Winnipeg R
America/Regina S
America/Edmonton T
America/Vancouver V3 V4 V5 V6 V7 V8 V9
America/Whitehorse Y
- A0P A0R A2V G0G G4T S9V
"""),
    # Australia Post: state ranges, Broken Hill and Lord Howe apart
    "AU": _table("""
Australia/Sydney 02 10-29
Australia/Melbourne 30-39 80-89
Australia/Brisbane 40-49 90-99
Australia/Adelaide 50-59 2880
Australia/Perth 60-69
Australia/Hobart 70-79
Australia/Darwin 08-09
Australia/Lord_Howe 2898
- 0872 2899 6443 6798 6799
"""),
    # the first two digits are the province: Las Palmas and Santa Cruz de Tenerife are the Canaries
    "ES": _table("""
Europe/Madrid 01-34 36 37 39-50
Africa/Ceuta 51 52
Atlantic/Canary 35 38
"""),
    "PT": _table("""
Europe/Lisbon 1-8
Atlantic/Madeira 90-94
Atlantic/Azores 95-99
"""),
}
"""Zones by postal code, of countries with several clocks."""
ELSEWHERE: dict[str, dict[str, str | None]] = {
    "FR": _table("""
America/Guadeloupe 971
America/Martinique 972
America/Cayenne 973
Indian/Reunion 974
America/Miquelon 975
Indian/Mayotte 976
America/St_Barthelemy 977
America/Marigot 978
Pacific/Wallis 986
Pacific/Noumea 988
- 97 98
"""),
    "DK": {"39": None},
}
"""Codes of a country of one clock that lie far away from it."""
LONGEST = max(len(prefix) for table in POSTAL.values() for prefix in table)
