"""The data folder: private, held by one, found by other verbs, emptied only when it may be."""

import stat
from pathlib import Path

import pytest
import yaml

from cli.local.folder import Folder
from cli.local.ports import Ports
from cli.local.process import LocalError
from libs.common.secrets import Secrets


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "data")
    folder.hold().close()
    folder.prepare(Ports(20000))
    first = folder.secrets.read_bytes()
    folder.prepare(Ports(20000))
    assert folder.secrets.read_bytes() == first
    assert stat.S_IMODE(folder.secrets.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert Secrets.load(folder.secrets).service_key().startswith("kurant-service-")


def test_gateways_follow_the_ports_until_somebody_edits_them(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.prepare(Ports(20000))
    folder.prepare(Ports(30000))
    assert yaml.safe_load(folder.gateways.read_text())["gateways"][0]["url"] == "smtp://127.0.0.1:30025"
    folder.gateways.write_text("gateways: []\n")
    folder.prepare(Ports(40000))
    assert folder.gateways.read_text() == "gateways: []\n"


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert not folder.running()
    with folder.hold():
        assert folder.running()
        with pytest.raises(LocalError, match="in use") as caught:
            folder.hold()
        assert caught.value.code == 2
    assert not folder.running()


def test_addresses_are_found_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write_addresses(Ports(20000), "postgresql://kurant:x@127.0.0.1:20054/kurant")
    found = folder.read_addresses()
    assert found["console"] == "http://127.0.0.1:20000"
    assert found["scheduler"] == "http://127.0.0.1:20005"
    assert found["inbox"] == "http://127.0.0.1:20026"
    assert found["kafka"] == "127.0.0.1:20092"
    assert stat.S_IMODE(folder.addresses.stat().st_mode) == 0o600


def test_no_addresses_is_told(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no platform"):
        Folder(tmp_path).read_addresses()


def test_reset_empties_a_stopped_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.prepare(Ports(20000))
    assert folder.reset()
    assert list(tmp_path.iterdir()) == []
    assert not folder.reset()


def test_reset_refuses_a_running_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.prepare(Ports(20000))
    with folder.hold(), pytest.raises(LocalError, match="in use"):
        folder.reset()
    assert folder.secrets.exists()


def test_reset_refuses_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(LocalError, match="does not look like"):
        Folder(tmp_path).reset()
    assert (tmp_path / "thesis.tex").exists()
