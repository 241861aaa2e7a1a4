"""The verbs as a user calls them: what they ask, print and exit with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.client import Target
from cli.local.folder import Folder
from cli.main import run
from libs.common.db import migrate
from tests.support.web import Asked, Web, serving

KEY = "3ffcebf0-11eb-537b-946e-54d6d4f020eb"
ANSWERS: dict[tuple[str, str], tuple[int, Any]] = {
    ("POST", "/v1/keys"): (201, {"id": "k-1", "key": "kurant_abc", "shop": "s1", "scopes": ["ingest"]}),
    ("GET", "/v1/keys"): (200, [{"id": "k-1", "shop": "s1", "scopes": ["ingest", "read"]}]),
    ("DELETE", f"/v1/keys/{KEY}"): (204, None),
    ("GET", "/v1/outbox"): (200, [{"message_id": "m", "profile": "p", "end": "suppressed", "reason": "no_consent"}]),
    ("GET", "/v1/status"): (
        200,
        {
            "now": "2026-03-02T10:00:00Z",
            "services": {"rules": {"ready": True, "lag": 3}},
            "steps": {"pending": 2, "oldest_due": None},
        },
    ),
    ("GET", "/v1/audit"): (200, {"ok": False, "events": {"received": 2}, "steps": {}, "messages": {}}),
    ("POST", "/v1/scenarios/cart/pause"): (200, {"state": "paused"}),
    ("GET", "/v1/scenarios/none"): (404, {"detail": "no scenario none"}),
    ("GET", "/v1/explain"): (
        200,
        {
            "profile": "p-1",
            "scenarios": [
                {
                    "scenario": "cart",
                    "version": 1,
                    "entered": True,
                    "conditions": [{"path": "event.cart.value", "found": "249.00", "verdict": True}],
                    "enrolments": [
                        {
                            "key": "c-1",
                            "state": "exited",
                            "entered_at": "2026-03-02T10:00:00Z",
                            "ended_at": "2026-03-02T12:00:00Z",
                            "because": "order.placed",
                            "steps": [{"step": "first", "at": "11:00", "verdict": "sent", "because": None}],
                        }
                    ],
                }
            ],
        },
    ),
}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Web]:
    def answer(asked: Asked) -> tuple[int, Any]:
        return ANSWERS.get((asked.method, asked.path), (404, {"detail": "no such route"}))

    with serving(answer) as found:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("KURANT_DATA", raising=False)
        monkeypatch.setenv("KURANT_URL", found.url)
        monkeypatch.setenv("KURANT_KEY", "secret-key")
        yield found


def test_keys_create_prints_the_key(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "--shop", "s1", "--scope", "ingest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ANSWERS["POST", "/v1/keys"][1]
    assert web.asked[0].body == {"shop": "s1", "scopes": ["ingest"]}
    assert web.asked[0].headers["Authorization"] == "Bearer secret-key"


def test_keys_create_alone_on_stdout(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "create", "--shop", "s1"]) == 0
    assert capsys.readouterr().out == "kurant_abc\n"


def test_keys_list_and_revoke(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "list"]) == 0
    assert "ingest,read" in capsys.readouterr().out
    assert run(["keys", "revoke", KEY]) == 0


def test_keys_list_is_of_every_shop_and_says_so(
    web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Target(console=web.url, ingest=None, key="k", local=Folder(Path("data")))
    monkeypatch.setattr("cli.keys.find", lambda _data: local)
    assert run(["keys", "list"]) == 0
    assert run(["keys", "list", "--shop", "s1"]) == 0
    assert [asked.query for asked in web.asked] == [{}, {"shop": "s1"}]
    capsys.readouterr()
    assert run(["keys", "list", "--help"]) == 0
    assert "--shop <str>   of this shop alone; unless said, locally of every shop" in capsys.readouterr().out
    assert run(["keys", "create", "--help"]) == 0
    assert "locally `demo` unless said" in capsys.readouterr().out


def test_outbox_asks_what_was_given(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["outbox", "--shop", "s1", "--channel", "email", "--json"]) == 0
    assert web.asked[0].query == {"shop": "s1", "channel": "email"}
    assert json.loads(capsys.readouterr().out)[0]["reason"] == "no_consent"
    assert run(["outbox"]) == 0
    assert "suppressed\tno_consent" in capsys.readouterr().out


def test_audit_that_differs_is_one(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_status(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"]) == 0
    assert "rules\tready\t3" in capsys.readouterr().out


def test_explain_for_people(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--shop", "s1", "--email", "anna@example.com"]) == 0
    assert "because order.placed" in capsys.readouterr().out
    assert web.asked[0].query == {"shop": "s1", "email": "anna@example.com"}


def test_explain_says_why_somebody_did_not_enter(
    web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"scenario": "arch", "version": 1, "state": "paused", "entered": False, "because": "paused"}
    row |= {"judged_at": "2026-03-02T10:00", "conditions": [], "watch": [], "enrolments": []}
    monkeypatch.setitem(ANSWERS, ("GET", "/v1/explain"), (200, {"profile": "p", "zone": "UTC", "scenarios": [row]}))
    assert run(["explain", "--email", "a@example.com"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "profile p, in the zone UTC",
        "",
        "arch version 1, paused: never entered",
        "  because it was paused (judged at 2026-03-02T10:00)",
    ]


def test_explain_needs_one_customer(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain"]) == 2
    assert run(["explain", "--email", "a@example.com", "--profile", KEY]) == 2
    assert web.asked == []


def test_scenario_pause_and_a_missing_one(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scenario", "pause", "cart", "--shop", "s1"]) == 0
    assert run(["scenario", "show", "none"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "kurant: no scenario none"


@pytest.mark.parametrize(
    "arguments", [["nope"], ["outbox", "--nope"], ["up", "--port-base", "x"], ["up", "--speed", "0"], ["reset"]]
)
def test_called_wrong_is_two_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["keys", "revoke", "not-a-uuid"],
            "not-a-uuid: not a key's id, which is a UUID; `kurant keys list` shows them",
        ),
        (["keys", "revoke", "../x"], "../x: not a key's id"),
        (["outbox", "--channel", "fax"], "--channel fax: not known; known: email, sms, push, whatsapp, viber, webhook"),
        (["outbox", "--profile", "x"], "--profile x: not a profile id, which is a UUID"),
        (["outbox", "--shop", ""], "--shop is empty: name a shop, or leave it out"),
        (["rfm", "explain", "--profile", "x"], "--profile x: not a profile id"),
        (["scenario", "show", "a/b"], "a/b: not an id"),
        (["segment", "archive", "A"], "A: not an id"),
    ],
)
def test_what_cannot_be_is_told_before_anybody_is_asked(
    web: Web, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err.startswith(f"kurant: {says}")
    assert web.asked == []


def test_a_profile_that_nobody_knows_is_not_an_empty_outbox(
    web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, ("GET", "/v1/outbox"), (200, []))
    timeline = ("GET", f"/v1/profiles/{KEY}/timeline")
    monkeypatch.setitem(ANSWERS, timeline, (404, {"detail": "profile is not known"}))
    assert run(["outbox", "--profile", KEY]) == 2
    assert capsys.readouterr().err == "kurant: profile is not known\n"
    monkeypatch.setitem(ANSWERS, timeline, (200, {}))
    assert run(["outbox", "--profile", KEY]) == 0
    assert run(["outbox", "--shop", "s1"]) == 0, "elsewhere the key says which shops there are"


def test_explain_of_a_scenario_that_was_never_published(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ANSWERS, ("GET", "/v1/explain"), (200, {"profile": "p", "scenarios": []}))
    assert run(["explain", "--email", "a@example.com", "--scenario", "none"]) == 2
    assert run(["explain", "--email", "a@example.com"]) == 0


def test_a_segment_of_rfm_that_the_rules_do_not_have(
    web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, ("GET", "/v1/rfm/customers"), (200, []))
    assert run(["rfm", "show", "--segment", "champion"]) == 0
    assert run(["rfm", "show", "--segment", "chmpion"]) == 2
    assert "--segment chmpion: not known; known: champion, loyal, cannot-lose" in capsys.readouterr().err
    assert run(["rfm", "export", "out.csv", "--segment", "chmpion"]) == 2
    assert not Path("out.csv").exists()
    text = "kurant: 1\ncurrency: PLN\nsegments:\n  - {segment: best, r: 4-5}\n  - {segment: rest}\n"
    monkeypatch.setitem(ANSWERS, ("GET", "/v1/rfm/rules"), (200, {"text": text}))
    assert run(["rfm", "show", "--segment", "best"]) == 0
    assert run(["rfm", "show", "--segment", "champion"]) == 2


@pytest.mark.parametrize(
    ("url", "key", "says"),
    [
        ("127.0.0.1:8080", "k", "KURANT_URL 127.0.0.1:8080: must begin with http:// or https://"),
        ("http://x", "klucz-ż", "KURANT_KEY is no API key"),
        ("http://x", "", "KURANT_KEY is not set"),
    ],
)
def test_where_the_platform_is_said_wrongly(
    url: str, key: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KURANT_URL", url)
    monkeypatch.setenv("KURANT_KEY", key)
    assert run(["status"]) == 2
    assert says in capsys.readouterr().err


NO_DOOR = (404, {"detail": "Not Found", "title": "Not found", "status": 404})
NO_SHOP = (422, {"detail": "query.shop: Field required", "errors": [{"field": "query.shop", "message": "…"}]})


@pytest.mark.parametrize(
    ("verb", "door", "answered"),
    [
        (["status"], "/v1/status", (200, {"lag": 0, "spilled": 0})),
        (["audit"], "/v1/audit", (200, {"ok": True, "events": {}, "lag": 0})),
        (["outbox"], "/v1/outbox", NO_DOOR),
        (["keys", "list"], "/v1/keys", (405, {"detail": "Method Not Allowed"})),
        (["scenario", "list"], "/v1/scenarios", NO_SHOP),
        (["explain", "--email", "a@example.com"], "/v1/explain", (200, [])),
        (["scenario", "show", "cart"], "/v1/scenarios/cart", (404, {})),
    ],
)
@pytest.mark.parametrize(
    ("health", "says"),
    [
        ((200, {"status": "ok", "service": "ingest"}), "is ingest, it must be the console"),
        ((404, {"detail": "Not Found"}), "is not the console of a Kurant"),
        ((200, []), "is not the console of a Kurant"),
    ],
)
def test_an_address_that_is_not_the_console_s_is_told(
    web: Web,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    verb: list[str],
    door: str,
    answered: tuple[int, Any],
    health: tuple[int, Any],
    says: str,
) -> None:
    monkeypatch.setitem(ANSWERS, ("GET", door), answered)
    monkeypatch.setitem(ANSWERS, ("GET", "/healthz"), health)
    assert run(verb) == 2
    assert capsys.readouterr().err == f"kurant: KURANT_URL {web.url} {says}\n"
    assert [asked.path for asked in web.asked] == [door, "/healthz"]


def test_what_the_console_itself_refuses_stays_as_it_says(
    web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["scenario", "show", "none"]) == 2
    assert [asked.path for asked in web.asked] == ["/v1/scenarios/none"], "nobody doubts an answer with a reason"
    monkeypatch.setitem(ANSWERS, ("GET", "/healthz"), (200, {"service": "console"}))
    monkeypatch.setitem(ANSWERS, ("GET", "/v1/outbox"), NO_DOOR)
    assert run(["outbox"]) == 2
    assert capsys.readouterr().err == "kurant: no scenario none\nkurant: Not Found\n"
    monkeypatch.setitem(ANSWERS, ("GET", "/v1/status"), (200, {"lag": 0}))
    assert run(["status"]) == 1
    assert "not what a console tells" in capsys.readouterr().err


def test_data_that_is_no_folder_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KURANT_DATA", raising=False)
    Path("file").touch()
    Path("empty").mkdir()
    for verb in (["status"], ["migrate"], ["outbox"], ["keys", "list"], ["events", "send", "x.jsonl"]):
        for place in ("file", "file/below", "empty", "none"):
            assert run([*verb, "--data", place]) == 2
            said = capsys.readouterr().err
            assert f"{tmp_path / place}: no platform was ever started there" in said
            assert len(said.splitlines()) == 1
    assert run(["reset", "--data", "none"]) == 2
    assert "none does not exist" in capsys.readouterr().err
    assert run(["reset", "--data", "file"]) == 2
    assert "file is not a folder" in capsys.readouterr().err
    assert run(["reset", "--data", "empty"]) == 0


def test_a_database_that_is_away_or_none_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KURANT_DATA", raising=False)
    away = "the database at 127.0.0.1:9 does not answer (ConnectionRefusedError): start PostgreSQL, or set"
    none = "KURANT_DATABASE_URL: must be postgresql://user:password@host:port/database"
    for url, code, says in (
        ("postgresql://me:hunter2@127.0.0.1:9/kurant", 1, away),
        ("mysql://me:hunter2@127.0.0.1/kurant", 2, none),
        ("postgresql://me:hunter2@127.0.0.1:port/kurant", 2, none),
    ):
        monkeypatch.setenv("KURANT_DATABASE_URL", url)
        assert run(["migrate"]) == code
        said = capsys.readouterr().err
        assert said.startswith(f"kurant: {says}")
        assert len(said.splitlines()) == 1
        assert migrate.main() == code
        assert capsys.readouterr().err.startswith(says)
        assert "hunter2" not in said


def test_nobody_answers_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KURANT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KURANT_KEY", "k")
    assert run(["outbox"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_no_platform_is_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KURANT_URL", raising=False)
    assert run(["outbox"]) == 2


def test_publish_sends_the_files_and_tells_what_is_wrong(
    web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cart"
    (folder / "messages").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "scenario.yaml").write_text("kurant: 1\n")
    (folder / "messages" / "first.email.mjml").write_text("<mjml/>")
    (folder / "tests" / "one.yaml").write_text("name: one\n")
    error = {
        "file": "scenario.yaml",
        "line": 3,
        "column": 5,
        "path": "trigger",
        "message": "no event",
        "hint": "add one",
    }
    monkeypatch.setitem(ANSWERS, ("POST", "/v1/scenarios"), (422, {"detail": "wrong", "errors": [error]}))
    assert run(["scenario", "publish", str(folder), "--shop", "s1"]) == 1
    assert capsys.readouterr().out == f"{folder}/scenario.yaml:3:5 no event (add one)\n"
    sent = web.asked[0].body
    assert sent == {"shop": "s1", "files": {"scenario.yaml": "kurant: 1\n", "messages/first.email.mjml": "<mjml/>"}}
    monkeypatch.setitem(ANSWERS, ("POST", "/v1/scenarios"), (201, {"id": "cart", "version": 1, "changed": True}))
    assert run(["scenario", "publish", str(tmp_path), "--shop", "s1"]) == 0
    assert capsys.readouterr().out == "cart version 1\n"


def test_settings_hide_secrets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KURANT_DATABASE_URL", "postgresql://kurant:hunter2@db/kurant")
    monkeypatch.setenv("KURANT_KEY", "very-secret")
    assert run(["settings", "--json"]) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert "very-secret" not in out
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["KURANT_DATABASE_URL"]["origin"] == "environment"
    assert rows["KURANT_HTTP_PORT"]["origin"] == "default"
    assert all(row["meaning"] for row in rows.values())
