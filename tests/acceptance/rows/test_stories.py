"""Every row of docs/coverage.md that a story can show: an event in, a mail out or a reasoned silence."""

from typing import Any

import pytest

from tests.acceptance.rows.conftest import STORIES
from tests.acceptance.rows.telling import Story, Told, message_of

every = pytest.mark.parametrize("story", STORIES, ids=lambda one: f"{one.row.replace(' ', '-')}-{one.name}")


def runs(told: Told, story: Story) -> list[dict[str, Any]]:
    return told.platform.enrolments(story.customer.email, story.scenario)


@every
def test_the_outbox_holds_what_was_sent_and_what_was_not(told: Told, story: Story) -> None:
    found = [(row["message"], row["end"], row["reason"]) for row in told.rows(story)]
    sent = [message for message, end, _ in found if end == "sent"]
    assert sent == list(story.sent)
    assert sorted(row for row in found if row[1] != "sent") == sorted(story.ends)


@every
def test_the_inbox_holds_what_was_sent_and_nothing_else(told: Told, story: Story) -> None:
    wanted = [row["message_id"] for row in told.rows(story) if row["end"] == "sent"]
    mails = told.mails_of(story)
    assert [message_of(mail) for mail in mails] == wanted
    assert all(mail["to"] == [story.customer.email] for mail in mails)
    if story.mail:
        assert story.mail in mails[0]["text"]
    sent = [row["message_id"] for row in told.outbox[story.name] if row["end"] == "sent"]
    assert sorted(message_of(mail) for mail in told.mails[story.name]) == sorted(sent)


@every
def test_explain_says_how_the_run_ended_or_that_there_was_none(told: Told, story: Story) -> None:
    found = runs(told, story)
    if story.because is None:
        assert found == []
        (row,) = told.platform.explain(story.customer.email, story.scenario)["scenarios"]
        assert row["entered"] is False
        return
    (one,) = found
    assert (one["because"] or one["state"]) == story.because
    assert [step["name"] for step in one["steps"] if step["verdict"] == "sent"] == list(story.sent)
