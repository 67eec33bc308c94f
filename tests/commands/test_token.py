"""`wpb token` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from wpb_stream.admission import admission
from wpb_stream.cli import main
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.settings import environment, load
from wpb_stream.up import _with_services


def made(*arguments: str) -> tuple[str, str]:
    """The token, and the entry for the settings."""
    done = CliRunner().invoke(main, ["token", *arguments])
    assert done.exit_code == 0, done.output
    text, _, entry = done.output.partition("\n")
    return text, entry[entry.index("[[tokens]]") :]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WPB_CONFIG", str(tmp_path / "wpb.toml"))
    return tmp_path / "wpb.toml"


def test_what_it_prints_for_the_settings_lets_the_token_in(file: Path) -> None:
    alice, first = made("alice", "--scope", "admin")
    visit, second = made('visit "7", µ', "--session", "cm1-1", "--session", "cm1-2")
    file.write_text(f"{first}\n{second}")
    settings = load()
    assert [token.scopes for token in settings.tokens] == [("admin",), ("watch",)]
    access = admission(settings, None)
    found, other = access.grant(alice), access.grant(visit)
    assert found is not None
    assert (found.name, found.sessions, found.may("watch"), found.may("admin")) == ("alice", None, True, True)
    assert other is not None
    assert (other.name, other.sessions, other.may("watch"), other.may("admin")) == ('visit "7", µ', {"cm1-1", "cm1-2"}, True, False)
    assert alice not in file.read_text()


def test_no_two_tokens_are_alike() -> None:
    assert made("a")[0] != made("a")[0]
    assert len(made("a")[0]) >= 43


def test_a_token_where_its_hash_belongs_is_refused_and_not_shown(file: Path) -> None:
    text, _ = made("alice")
    file.write_text(f'[[tokens]]\nname = "alice"\nsha256 = "{text}"\n')
    with pytest.raises(ServiceError, match=r"setting tokens\.0\.sha256") as refused:
        load()
    assert text not in str(refused.value)


@pytest.mark.parametrize("entry", ["scopes = []", 'scopes = ["all"]', 'sessions = "cm1-1"', "session = []"])
def test_an_entry_that_cannot_be_meant_is_refused(file: Path, entry: str) -> None:
    _, printed = made("alice")
    kept = [line for line in printed.splitlines() if not line.startswith("scopes")]
    file.write_text("\n".join([*kept, entry]))
    with pytest.raises(ServiceError, match=r"setting tokens\.0\."):
        load()


def test_wpb_up_gives_its_own_processes_a_token_that_the_feed_knows_and_keeps_one_that_is_set(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"data": tmp_path, "database_url": "postgresql://h/d", "sources": "kafka://h:9092/t", "listen": "127.0.0.1:0"}
    file.write_text(made("alice")[1])
    settings, _ = _with_services(load(**given))
    assert settings.token is not None
    assert settings.token not in repr(settings)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    streaming = load()
    access = admission(streaming, streaming.anonymous)
    found = access.grant(settings.token)
    assert found is not None
    assert not found.may("admin")
    assert access.grant("another") is None
    assert _with_services(settings)[0].token == settings.token
