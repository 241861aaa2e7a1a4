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

import os
from typing import Any
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from libs.common.settings_file import SettingsFile
from libs.domain.consent.caps import Cap
from libs.domain.scenario.caps import read_caps

VARIABLE = "KURANT_SHOPS"


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
            raise ValueError(f"{value} is no IANA time zone, such as Europe/Warsaw")
        return value


def load(path: str | os.PathLike[str] | None) -> dict[str, Shop]:
    """Shops by id; none without a file. Raises `Misconfigured` that says where it is wrong."""
    if path is None:
        return {}
    file = SettingsFile.load(path, VARIABLE)
    rows = file.value.get("shops") if isinstance(file.value, dict) else None
    if not isinstance(rows, dict):
        raise file.wrong("shops", "there must be a mapping `shops:` of `id: {name, url, timezone, caps}`")
    other = next((name for name in file.value if name != "shops"), None)
    if other is not None:
        raise file.wrong(other, f"'{other}' is not known; known: shops")
    found: dict[str, Shop] = {}
    for id, row in rows.items():
        try:
            found[id] = Shop.model_validate(_with_caps(file, id, row))
        except ValidationError as error:
            if error.errors()[0]["type"] == "string_pattern_mismatch":
                raise file.wrong(f"shops/{id}/url", "url must be http://... or https://...") from None
            raise file.misfit(f"shops/{id}", error, Shop.model_fields) from None
    return found


def _with_caps(file: SettingsFile, id: str, row: Any) -> Any:
    """A shop's row, its caps read; raises `Misconfigured`."""
    if not isinstance(row, dict) or "caps" not in row:
        return row
    caps, findings = read_caps(file.source, f"shops/{id}/caps", row["caps"])
    for one in findings:
        raise file.wrong(one.path, f"{one.message}{f' ({one.hint})' if one.hint else ''}")
    return {**row, "caps": caps}
