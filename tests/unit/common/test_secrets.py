"""Keys: identifiers cannot be read nor compared between shops, tokens cannot be forged, rotation loses nothing."""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from libs.common.errors import Misconfigured
from libs.common.secrets import BadToken, Secrets

OLD, NEW = b"o" * 32, b"n" * 32
ADDRESS = "anna@example.com"


@pytest.fixture
def secrets() -> Secrets:
    return Secrets({"k1": OLD})


@pytest.fixture
def rotated() -> Secrets:
    """The same platform after a rotation: newest first."""
    return Secrets({"k2": NEW, "k1": OLD})


def test_an_identifier_is_not_readable_nor_guessable(secrets: Secrets) -> None:
    """I1: not the value, and not a hash that anybody could make."""
    found = secrets.identifier("demo", "email", ADDRESS)
    assert len(found) == 32
    assert b"anna" not in found
    assert found != hashlib.sha256(ADDRESS.encode()).digest()
    assert found != Secrets({"k1": NEW}).identifier("demo", "email", ADDRESS)


def test_one_person_has_another_identifier_in_every_shop(secrets: Secrets) -> None:
    """I9: what two shops know cannot be joined."""
    asked = [("demo", "email"), ("other", "email"), ("demo", "user_id"), ("demo:email", ""), ("", "demo:email")]
    assert len({secrets.identifier(shop, kind, ADDRESS) for shop, kind in asked}) == len(asked)


def test_identifiers_outlive_a_rotation(secrets: Secrets, rotated: Secrets) -> None:
    assert rotated.identifier("demo", "email", ADDRESS) == secrets.identifier("demo", "email", ADDRESS)
    assert rotated.service_key() == secrets.service_key()


def test_tokens_of_before_a_rotation_still_open(secrets: Secrets, rotated: Secrets) -> None:
    token = secrets.sign("unsubscribe", ["demo", "p"])
    assert rotated.unsign("unsubscribe", token) == ["demo", "p"]
    with pytest.raises(BadToken):
        secrets.unsign("unsubscribe", rotated.sign("unsubscribe", ["demo", "p"]))


def test_a_token_is_for_one_use_and_cannot_be_changed(secrets: Secrets) -> None:
    token = secrets.sign("click", ["m", "https://shop.example"])
    other = secrets.sign("click", ["m", "https://evil.example"])
    forged = other.rsplit(".", 1)[0] + "." + token.rsplit(".", 1)[1]
    for use, wrong in (("open", token), ("click", forged), ("click", token[:-1]), ("click", ""), ("click", "żółć")):
        with pytest.raises(BadToken):
            secrets.unsign(use, wrong)


def test_what_is_encrypted_opens_after_a_rotation_and_for_its_use_alone(secrets: Secrets, rotated: Secrets) -> None:
    sealed = secrets.encrypt("address", ADDRESS)
    assert b"anna" not in sealed
    assert sealed != secrets.encrypt("address", ADDRESS), "equal addresses must not look equal"
    assert rotated.decrypt("address", sealed) == ADDRESS
    with pytest.raises(BadToken):
        secrets.decrypt("address", rotated.encrypt("address", ADDRESS))
    for use, broken in (("evidence", sealed), ("address", sealed[:-1] + bytes([sealed[-1] ^ 1]))):
        with pytest.raises((BadToken, InvalidTag)):
            secrets.decrypt(use, broken)


GOOD = base64.b64encode(OLD).decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: the file is empty"),
        ("keys: []", ":1: there must be a list `keys:`"),
        ("keys: 7", ":1: there must be a list `keys:`"),
        ("[", ":1: not YAML"),
        (
            f"keys:\n  - {{id: k2, secret: '{GOOD}'}}\n  - {{id: k1, secret: c2hvcnQ=}}",
            ":3: the secret of k1 is no 32 bytes",
        ),
        ("keys:\n  - id: k1\n    secret: '%%%'", ":3: the secret of k1 is no 32 bytes"),
        (f"keys:\n  - secret: '{GOOD}'", ":2: id is missing"),
        (f"keys:\n  - {{id: a, secret: '{GOOD}'}}\n  - {{id: a, secret: '{GOOD}'}}", ":3: two keys have the id a"),
    ],
)
def test_a_file_that_holds_no_usable_key_is_told_by_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "secrets.yaml"
    file.write_text(text)
    with pytest.raises(Misconfigured) as told:
        Secrets.load(file)
    assert str(told.value).startswith(f"{file}{says}")
    assert GOOD not in str(told.value)
    assert "%%%" not in str(told.value)


def test_a_file_that_is_missing_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"none\.yaml: no such file; write it, or let KURANT_SECRET_FILE name"):
        Secrets.load(tmp_path / "none.yaml")


def test_fingerprints_tell_keys_apart_and_give_nothing_away(secrets: Secrets, rotated: Secrets) -> None:
    assert rotated.fingerprints() == {"k2": rotated.fingerprints()["k2"], **secrets.fingerprints()}
    assert secrets.fingerprints() != Secrets({"k1": NEW}).fingerprints()
    assert Secrets({"a": OLD}).fingerprints()["a"] != Secrets({"b": OLD}).fingerprints()["b"]
    found = secrets.fingerprints()["k1"]
    assert len(found) == 32
    assert found not in (OLD, hashlib.sha256(OLD).digest(), hmac.digest(OLD, b"k1", hashlib.sha256))
