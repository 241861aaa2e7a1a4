"""The shops file (KURANT_SHOPS): what a shop is called, where it is, in which zone its customers are taken to live,
and how often they are written to.

```yaml
shops:
  demo:
    name: Demo shop
    url: https://demo.example
    timezone: Europe/Warsaw
    caps:                                    # marketing alone; in any stretch of that length
      - {channel: email, most: 1, per: 1d}
      - {most: 3, per: 7d}                   # all channels together
```
A shop that is not in it has no name, no address, no caps, and customers in UTC until something better is known of
them.
"""

from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from libs.common.errors import Misconfigured
from libs.domain.consent.caps import Cap
from libs.domain.scenario.caps import read_caps
from libs.domain.scenario.source import Finding, ScenarioError, Source, read


class Shop(BaseModel):
    """One shop as its messages speak of it. `timezone` is an IANA zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    url: str = Field("", pattern=r"^(https?://[^\s]+)?$")
    timezone: str | None = None
    caps: tuple[Cap, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        if value is not None and value not in available_timezones():
            raise ValueError(f"{value} is no IANA time zone")
        return value


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    shops: dict[str, Shop]


def load(path: str | None) -> dict[str, Shop]:
    """Shops by id; none without a file. Raises `Misconfigured` that names what is wrong, with its line."""
    if path is None:
        return {}
    try:
        source = read(Path(path).read_text("utf-8"), path)
        return dict(_File.model_validate(_with_caps(source)).shops)
    except ValidationError as error:
        first = error.errors()[0]
        names = [str(part) for part in first["loc"]]
        found = source.finding("/".join(names), f"{'.'.join(names) or 'the file'}: {first['msg']}")
    except ScenarioError as error:
        found = error.findings[0]
    except (OSError, ValueError) as error:
        raise Misconfigured(f"KURANT_SHOPS {path}: {type(error).__name__}") from None
    hint = f" ({found.hint})" if found.hint else ""
    raise Misconfigured(f"KURANT_SHOPS {found.file}:{found.line}:{found.column} {found.message}{hint}")


def _with_caps(source: Source) -> Any:
    """The file's content, caps read."""
    told = source.value
    shops = told.get("shops") if isinstance(told, dict) else None
    if not isinstance(shops, dict):
        return told
    wrong: list[Finding] = []
    made: dict[str, Any] = {}
    for id, shop in shops.items():
        made[id] = shop
        if isinstance(shop, dict) and "caps" in shop:
            caps, findings = read_caps(source, f"shops/{id}/caps", shop["caps"])
            made[id] = {**shop, "caps": caps}
            wrong += findings
    if wrong:
        raise ScenarioError(wrong)
    return {**told, "shops": made}
