"""The question to consent: may this be sent, to which address?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec

from libs.common.errors import Unavailable
from libs.common.http.client import Client
from libs.common.http.problem import Problem
from libs.common.telemetry.log import logger
from services.dispatch.handlers import Decision, Job

log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this message go out, by one of these channels?"""

    job: Job
    channels: list[str]


class _Answer(msgspec.Struct, kw_only=True):
    message: str
    decision: Literal["allow", "deny", "defer"]
    reason: str | None = None
    until: datetime | None = None
    channel: str | None = None
    address: str | None = None
    profile: str | None = None
    unsubscribe_url: str | None = None
    preferences_url: str | None = None
    confirm_url: str | None = None


class _Answers(msgspec.Struct, kw_only=True):
    decisions: list[_Answer]


class Consent:
    """Consent, over HTTP. Whatever is not a well-formed answer is no answer: then nothing is sent (I2)."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def decide(self, questions: Sequence[Question]) -> list[Decision]:
        """One decision a question, in their order; raises `Unavailable`."""
        body = {"requests": [_asked(question) for question in questions]}
        try:
            answers = msgspec.convert(await self._client.ask("POST", "/v1/decisions", json=body), _Answers).decisions
        except Problem as problem:
            raise Unavailable(f"consent: answered {problem.status}") from None
        except msgspec.ValidationError:
            raise Unavailable("consent: the answer is not one") from None
        if [answer.message for answer in answers] != [question.job.message for question in questions]:
            raise Unavailable("consent: answered another question")
        return [_decision(question, answer) for question, answer in zip(questions, answers, strict=True)]

    async def close(self) -> None:
        await self._client.close()


def _asked(question: Question) -> dict[str, object]:
    job, request = question.job, question.job.request
    return {
        "message": job.message,
        "shop": job.shop,
        "profile": job.profile,
        "channels": question.channels,
        "purpose": request.purpose,
        "scenario": request.scenario,
        "contacts_at": request.contacts_at,
        "priority": request.priority,
    }


def _decision(question: Question, answer: _Answer) -> Decision:
    """The answer as a decision. An allow that cannot be acted on is a defer: it concerns this one message alone."""
    if answer.decision == "allow" and not _usable(question, answer):
        log.error("consent allowed what cannot be sent", message=answer.message)
        return Decision(decision="defer", reason="consent_unclear")
    until = answer.until if answer.until is not None and answer.until.tzinfo is not None else None
    return Decision(
        decision=answer.decision,
        reason=answer.reason,
        until=until,
        channel=answer.channel or "",
        address=answer.address or "",
        profile=answer.profile,
        unsubscribe_url=answer.unsubscribe_url,
        preferences_url=answer.preferences_url,
        confirm_url=answer.confirm_url,
    )


def _usable(question: Question, answer: _Answer) -> bool:
    """By a channel that was asked for, to an address, and a mailing with a way out of it."""
    marketing = question.job.request.purpose != "transactional"
    leavable = bool(answer.unsubscribe_url) or not marketing or answer.channel != "email"
    return answer.channel in question.channels and bool(answer.address) and leavable
