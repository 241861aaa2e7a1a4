"""What dispatch keeps, on virtual time: messages that are asked for and have no end yet, and which goes out next."""

from dataclasses import dataclass, field
from datetime import datetime

from libs.domain.engine.turn import Request

WEBHOOK = ["webhook"]


@dataclass(kw_only=True)
class Open:
    """A message without an end. `number` is the order asked; `reason` why it was put off, if it was."""

    request: Request
    number: int
    asked_at: datetime
    not_before: datetime
    reason: str = ""

    @property
    def is_call(self) -> bool:
        """Whether it is a call of a web address: those have a queue of their own."""
        return self.request.channels == WEBHOOK


@dataclass
class Outbox:
    """The open messages of one customer."""

    open: list[Open] = field(default_factory=list)
    asked: int = 0

    def add(self, request: Request, now: datetime) -> None:
        """A message is asked for."""
        self.asked += 1
        self.open.append(Open(request=request, number=self.asked, asked_at=now, not_before=now))

    def take(self, now: datetime) -> Open | None:
        """The message that goes out now: calls at once, else the most important that is due, then the one asked for
        first; of an enrolment always the first, whatever it waits for. It is out of the box until it is put back.
        """
        due = [one for one in self.open if one.not_before <= now and self._is_first(one)]
        if not due:
            return None
        chosen = min(due, key=lambda one: (not one.is_call, -one.request.priority, one.number))
        self.open.remove(chosen)
        return chosen

    def put_back(self, one: Open, reason: str) -> None:
        """It is put off."""
        one.reason = reason
        self.open.append(one)

    def space(self, sent: Open, now: datetime) -> list[Open]:
        """What one that goes out late puts off: the later ones of its enrolment keep their distance. In their order."""
        found = []
        for one in self.open:
            until = now + (one.asked_at - sent.asked_at)
            same = one.request.enrolment == sent.request.enrolment and one.number > sent.number
            if (
                same
                and not one.is_call
                and not sent.is_call
                and one.not_before < until
                and one.asked_at > sent.asked_at
            ):
                one.not_before, one.reason = until, "earlier_message"
                found.append(one)
        return found

    def take_back(self, message: str) -> Request | None:
        """Take back a message that has not gone out."""
        found = next((one for one in self.open if one.request.message == message), None)
        if found is not None:
            self.open.remove(found)
        return found.request if found is not None else None

    def _is_first(self, one: Open) -> bool:
        return not any(
            other.request.enrolment == one.request.enrolment and other.number < one.number for other in self.open
        )
