"""Settings, from the environment with prefix `KURANT_`; the same in every service."""

import os
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.common.clock import REAL, PlatformClock
from libs.common.errors import Misconfigured
from libs.common.settings_file import FORMS


class Settings(BaseSettings):
    """Every field is one variable: `kafka_bootstrap` is `KURANT_KAFKA_BOOTSTRAP`."""

    model_config = SettingsConfigDict(env_prefix="KURANT_", frozen=True, extra="ignore")

    profile: Literal["local", "production"] = Field(
        "production", description="local allows the demo key and a fast clock"
    )
    kafka_bootstrap: str = Field("127.0.0.1:9092", description="host:port list of Kafka brokers")
    database_url: str = Field("postgresql://kurant@127.0.0.1:5432/kurant", description="PostgreSQL 15 or later")
    http_host: str = Field("127.0.0.1", description="address to listen on")
    http_port: int = Field(8080, ge=0, le=65535, description="port to listen on")
    public_url: str | None = Field(None, description="where customers reach the consent and dispatch pages")
    ingest_url: str = Field("http://127.0.0.1:8081", description="ingest, as other services reach it")
    consent_url: str = Field("http://127.0.0.1:8082", description="consent, as other services reach it")
    dispatch_url: str = Field("http://127.0.0.1:8083", description="dispatch, as other services reach it")
    rules_url: str = Field("http://127.0.0.1:8084", description="rules, as other services reach it")
    scheduler_url: str = Field("http://127.0.0.1:8085", description="scheduler, as other services reach it")
    secret_file: str = Field("secrets.yaml", description="signing and encryption keys, newest first")
    cors_origins: str = Field(
        "*", description="origins whose pages may send events with their key, comma-separated; * any, empty none"
    )
    gateways: str = Field("gateways.yaml", description="YAML file of gateways")
    shops: str | None = Field(None, description="YAML file of shops: name, address, time zone, caps")
    partitions: int | None = Field(None, ge=1, description="partitions of the profile topics when created")
    instance: str | None = Field(
        None,
        pattern=r"[A-Za-z0-9._-]{1,80}",
        description="name of this replica, unique within its service (a StatefulSet's pod name): a process that is "
        "started again under it has its partitions back at once (Kafka's static membership)",
    )
    replication: int = Field(1, ge=1, description="replicas of each topic when created")
    clock_speed: float = Field(1.0, gt=0, description="local only: how many times faster than life")
    clock_start: datetime | None = Field(None, description="local only: the platform's time at the anchor (ISO 8601)")
    clock_anchor: float | None = Field(None, description="local only: Unix time of the anchor; default: now")
    log_format: Literal["json", "console"] = Field("json", description="how log lines look")

    def clock(self, real_now: float) -> PlatformClock:
        """The platform's clock; raises `Misconfigured` where production is asked to bend time."""
        bent = self.clock_speed != 1.0 or self.clock_start is not None
        if not bent:
            return REAL
        if self.profile == "production":
            raise Misconfigured(
                "KURANT_CLOCK_SPEED and KURANT_CLOCK_START are for KURANT_PROFILE=local only: unset them"
            )
        anchor = self.clock_anchor if self.clock_anchor is not None else real_now
        start = self.clock_start or datetime.fromtimestamp(anchor, UTC)
        return PlatformClock(start=start.astimezone(UTC), anchor=anchor, speed=self.clock_speed)


def load() -> Settings:
    """The settings of this process; raises `Misconfigured` with the variable's name."""
    try:
        return Settings()  # type: ignore[call-arg]  # values come from the environment
    except ValidationError as error:
        first = error.errors()[0]
        name = "KURANT_" + "_".join(str(part) for part in first["loc"]).upper()
        said = FORMS.get(first["type"]) or first["msg"].replace("Input should be", "must be")
        raise Misconfigured(f"{name} {said}") from None


def origin(field: str) -> str:
    """Where a setting's value came from: `environment` or `default`."""
    return "environment" if f"KURANT_{field.upper()}" in os.environ else "default"
