"""The shops file (KURANT_SHOPS): what a shop is called, where it is, in which zone its customers are taken to live.

```yaml
shops:
  demo: {name: Demo shop, url: "https://demo.example", timezone: Europe/Warsaw}
```
A shop that is not in it has no name, no address, and customers in UTC until something better is known of them.
"""

from pathlib import Path
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from libs.common.errors import Misconfigured


class Shop(BaseModel):
    """One shop as its messages speak of it. `timezone` is an IANA zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    url: str = Field("", pattern=r"^(https?://[^\s]+)?$")
    timezone: str | None = None

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
    """Shops by id; none without a file. Raises `Misconfigured` that names what is wrong."""
    if path is None:
        return {}
    try:
        return dict(_File.model_validate(yaml.safe_load(Path(path).read_text("utf-8"))).shops)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise Misconfigured(f"KURANT_SHOPS {path}: {where}: {first['msg']}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Misconfigured(f"KURANT_SHOPS {path}: {type(error).__name__}") from None
