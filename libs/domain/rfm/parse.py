"""From YAML to `RfmRules`: every fault is a finding with line, column, and what to do."""

import re
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from libs.domain import money
from libs.domain.rfm import currencies
from libs.domain.rfm.model import AXES, LETTERS, LEVELS, MOST_LEVELS, SEGMENTS, Axis, Margin, Pattern, RfmRules, Scale
from libs.domain.scenario.conditions import ConditionReader
from libs.domain.scenario.source import Finding, ScenarioError, read

FIELDS = (
    *("kurant", "window", "every", "timezone", "currency", "rates", "orders", "least_customers"),
    *("recency", "frequency", "monetary", "segments", "outside"),
)
EVENTS = ("order.placed", "order.paid", "order.shipped", "order.delivered")
CURRENCY = re.compile(r"[A-Z]{3}")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
SPAN = re.compile(r"(\d{1,2})\s*-\s*(\d{1,2})")
PERCENT = re.compile(r"(\d{1,2}(\.\d{1,4})?)\s*%")
LONGEST = timedelta(days=3650)
SHORTEST = timedelta(hours=1)
HIGHEST_RATE, RATE_DIGITS = Decimal(10) ** 9, 9
Word = TypeVar("Word", bound=str)

__all__ = ["Finding", "ScenarioError", "parse"]


def parse(text: str, file: str = "rfm.yaml") -> RfmRules:
    """The rules that `text` says; raises `ScenarioError` with every finding."""
    reader = _Reader(read(text, file))
    rules = reader.rules()
    if reader.findings or rules is None:
        raise ScenarioError(reader.findings)
    return rules


class _Reader(ConditionReader):
    def rules(self) -> RfmRules | None:
        """The whole file; None when it is beyond reading."""
        value = self.source.value
        if not isinstance(value, dict):
            self.error("", "the rules are a mapping", "begin with `kurant: 1`")
            return None
        self.known("", value, FIELDS)
        if value.get("kurant") != 1:
            self.error("kurant", "this is not version 1 of the language", "begin with `kurant: 1`")
        currency = self.currency("currency", value.get("currency"))
        window = self.span("window", value.get("window", "365d"))
        if window % timedelta(days=1):
            self.error("window", "the window is of whole days", "for example 365d")
        every = self.span("every", value.get("every", "1d"))
        if window and every > window:
            self.error("every", "this is longer than the window", "for example 1d")
        scales = {axis: self.scale(axis, value.get(axis), currency) for axis in AXES}
        levels = tuple(scales[axis].levels for axis in AXES)
        orders = self.mapping("orders", value.get("orders"), ("counts", "statuses", "returns"))
        statuses = self.mapping("orders/statuses", orders.get("statuses"), ("only", "except"))
        if len(statuses) > 1:
            self.error("orders/statuses", "`only` and `except` exclude each other", "keep one of them")
        found = RfmRules(
            currency=currency,
            window=window.days,
            every=every,
            timezone=self.zone("timezone", value.get("timezone", "UTC")),
            counts=self.counts("orders/counts", orders.get("counts", "order.placed")),
            only=tuple(self.texts("orders/statuses/only", statuses.get("only", []))),
            excluded=() if "only" in statuses else self.excluded(statuses),
            returns=self.word("orders/returns", orders.get("returns", "subtract"), ("subtract", "ignore")),
            rates=self.rates("rates", value.get("rates"), currency),
            **scales,
            frequency_of=self.word("frequency/of", self.of(value, "frequency", "orders"), ("orders", "days")),
            monetary_of=self.word("monetary/of", self.of(value, "monetary", "sum"), ("sum", "mean")),
            least_customers=self.least("least_customers", value.get("least_customers", 25)),
            segments=self.segments("segments", value.get("segments"), levels),
            outside=self.outside("outside", value),
        )
        if not self.findings:
            self.lint(found, "segments" in value)
        return found

    def mapping(self, path: str, value: Any, names: tuple[str, ...]) -> dict[str, Any]:
        """A mapping with these names, or nothing."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.error(path, "this must be a mapping", f"with: {', '.join(names)}")
            return {}
        self.known(path, value, names)
        return value

    def word(self, path: str, value: Any, words: tuple[Word, ...]) -> Word:
        """One of `words`."""
        for word in words:
            if value == word:
                return word
        self.error(path, f"{value} is not known here", f"one of: {', '.join(words)}")
        return words[0]

    def of(self, value: dict[str, Any], axis: str, default: str) -> Any:
        told = value.get(axis)
        return told.get("of", default) if isinstance(told, dict) else default

    def currency(self, path: str, value: Any) -> str:
        """Three capitals."""
        if isinstance(value, str) and CURRENCY.fullmatch(value):
            return value
        self.error(path, "the currency is missing" if value is None else f"{value} is no currency", "`currency: PLN`")
        return "XXX"

    def zone(self, path: str, value: Any) -> str:
        name = self.text(path, value) or "UTC"
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            self.error(path, f"{name} is no time zone", "for example Europe/Warsaw")
            return "UTC"
        return name

    def span(self, path: str, value: Any) -> timedelta:
        found = self.duration(path, value)
        if found and not SHORTEST <= found <= LONGEST:
            self.error(path, f"{value} is out of range", "from 1h to 3650d")
        return found

    def least(self, path: str, value: Any) -> int:
        found = self.integer(path, value)
        if not 0 <= found <= 1_000_000:
            self.error(path, f"{found} is out of range", "from 0 to 1000000")
        return found

    def counts(self, path: str, value: Any) -> str:
        """An order event, or `{status: x}` as `status:x`."""
        if isinstance(value, dict):
            self.known(path, value, ("status",))
            return f"status:{self.text(f'{path}/status', value.get('status', ''))}"
        text = self.text(path, value)
        if text not in EVENTS:
            hint = self.nearest(text, EVENTS) or f"one of: {', '.join(EVENTS)}; or `{{status: delivered}}`"
            self.error(path, f"{text} does not make an order count", hint)
        return text

    def excluded(self, statuses: dict[str, Any]) -> tuple[str, ...]:
        return tuple(self.texts("orders/statuses/except", statuses.get("except", ["cancelled"])))

    def rates(self, path: str, value: Any, currency: str) -> dict[str, Decimal]:
        """What one whole unit of another currency is worth."""
        if value is not None and not isinstance(value, dict):
            self.error(path, "rates are a mapping", '`{EUR: "4.30"}`')
            return {}
        found: dict[str, Decimal] = {}
        for name, told in (value or {}).items():
            rate = money.decimal(told)
            if self.currency(f"{path}/{name}", name) == currency:
                self.error(f"{path}/{name}", f"{name} is the currency of the shop", "leave it out")
            if rate is None or not 0 < rate < HIGHEST_RATE or rate != round(rate, RATE_DIGITS):
                self.error(f"{path}/{name}", f"{told} is no rate", 'for example "4.30", at most nine decimals')
            else:
                found[name] = rate
        return found

    def scale(self, axis: Axis, value: Any, currency: str) -> Scale:
        """`{quantiles: 5}` or `{thresholds: [...]}`, with `margin`."""
        told = self.mapping(axis, value, ("quantiles", "thresholds", "margin", *(() if axis == "recency" else ("of",))))
        margin = self.margin(f"{axis}/margin", axis, told.get("margin", "10%"), currency)
        if "thresholds" not in told:
            count = self.integer(f"{axis}/quantiles", told.get("quantiles", 5))
            if not 2 <= count <= MOST_LEVELS:
                self.error(f"{axis}/quantiles", f"{count} quantiles are not possible", f"from 2 to {MOST_LEVELS}")
                count = 5
            return Scale(quantiles=count, margin=margin)
        path = f"{axis}/thresholds"
        if "quantiles" in told:
            self.error(path, "quantiles or thresholds, not both", "remove one of them")
        listed = told["thresholds"]
        if not isinstance(listed, list) or not 1 <= len(listed) < MOST_LEVELS:
            self.error(path, f"thresholds are a list of 1 to {MOST_LEVELS - 1} numbers", "`[30, 90, 180, 300]`")
            return Scale(quantiles=5, margin=margin)
        found = [self.amount(f"{path}/{index}", axis, one, currency) for index, one in enumerate(listed)]
        if any(above <= below for below, above in pairwise(found)):
            self.error(path, "thresholds rise, each higher than the one before", "sort them")
        return Scale(thresholds=tuple(reversed(found) if axis == "recency" else found), margin=margin)

    def amount(self, path: str, axis: Axis, value: Any, currency: str) -> int:
        """Days, orders, or money in minor units."""
        if axis == "recency" and isinstance(value, str):
            return self.span(path, value).days
        number = money.decimal(value)
        whole = None if number is None else currencies.minor(number, currency if axis == "monetary" else "JPY")
        if whole is None or not 0 <= whole < 10**15:
            hint = 'for example "100.00"' if axis == "monetary" else "a whole number"
            self.error(path, f"{value} is no threshold of {axis}", hint)
            return 0
        return whole

    def margin(self, path: str, axis: Axis, value: Any, currency: str) -> Margin:
        """`10%` of the cut point, or an amount."""
        if isinstance(value, str) and (found := PERCENT.fullmatch(value.strip())):
            return Margin(percent=Decimal(found[1]))
        return Margin(amount=self.amount(path, axis, value, currency))

    def outside(self, path: str, value: dict[str, Any]) -> str | None:
        told = value.get("outside", "lost")
        return None if told is None else self.segment_name(path, told)

    def segment_name(self, path: str, value: Any) -> str:
        name = self.text(path, value)
        if not NAME.fullmatch(name):
            self.error(path, f"{name or 'nothing'} is no name of a segment", "lower-case letters, digits and hyphens")
        return name

    def segments(self, path: str, value: Any, levels: tuple[int, ...]) -> tuple[Pattern, ...]:
        """The map, or the ready-made one."""
        if value is None:
            if levels != LEVELS:
                told = " x ".join(map(str, levels))
                self.error("", f"the ready-made segments are for 5 x 5 x 5 scores, these are {told}", "add `segments:`")
            return SEGMENTS
        if not isinstance(value, list) or not value:
            self.error(path, "segments are a list", "`- {segment: champion, r: 4-5, f: 4-5, m: 4-5}`")
            return SEGMENTS
        return tuple(self.pattern(f"{path}/{index}", item, levels) for index, item in enumerate(value))

    def pattern(self, path: str, value: Any, levels: tuple[int, ...]) -> Pattern:
        told = self.mapping(path, value, ("segment", "r", "f", "m"))
        sides = {
            letter: self.side(f"{path}/{letter}", told[letter], highest) if letter in told else ()
            for letter, highest in zip(LETTERS.values(), levels, strict=True)
        }
        return Pattern(segment=self.segment_name(f"{path}/segment", told.get("segment")), **sides)

    def side(self, path: str, value: Any, highest: int) -> tuple[int, ...]:
        """`5`, `4-5` or `[1, 3]`."""
        found: Iterable[int] = ()
        if isinstance(value, list):
            found = [self.integer(f"{path}/{index}", one) for index, one in enumerate(value)]
        elif isinstance(value, str) and (span := SPAN.fullmatch(value.strip())):
            found = range(int(span[1]), int(span[2]) + 1)
        elif isinstance(value, int) and not isinstance(value, bool):
            found = [value]
        scores = tuple(sorted(set(found)))
        if not scores or scores[0] < 1 or scores[-1] > highest:
            self.error(path, f"{value} are no scores", f"from 1 to {highest}: `{highest}`, `1-{highest}` or `[1, 2]`")
        return scores

    def lint(self, rules: RfmRules, own: bool) -> None:
        """Every combination of scores has a line, and every line has one."""
        lines = {scores: rules.line(scores) for scores in rules.all_scores()}
        bare = [scores for scores, line in lines.items() if line is None]
        if bare:
            first = ", ".join("r{} f{} m{}".format(*scores) for scores in bare[:3])
            more = f" and {len(bare) - 3} more" if len(bare) > 3 else ""
            self.error("segments", f"no segment takes {first}{more}", "end with a line without r, f and m")
        for index in sorted(set(range(len(rules.segments))) - set(lines.values()) if own else ()):
            line = rules.segments[index]
            self.error(
                f"segments/{index}",
                f"{line.segment} ({line.text()}) is never reached: lines above take all its scores",
                "move it up, or remove it",
            )
