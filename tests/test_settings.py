"""The settings: where they come from, which one wins, and what is said of a wrong one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wpb_stream.app import stream
from wpb_stream.core.access import EVERYTHING, ON_THIS_MACHINE
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.live import Pace
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.settings import Settings, environment, load, split_address
from wpb_stream.up import running

HEAVY = ("numpy", "pydantic", "h5py", "dagster", "psycopg", "websockets", "aiokafka", "sqlalchemy", "click", "asyncio", "msgspec")


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder without wpb.toml and an environment without settings."""
    for name in [name for name in os.environ if name.startswith("WPB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description.endswith(".")


def test_without_any_setting_only_this_machine_is_served_and_no_file_is_read() -> None:
    settings = load()
    assert settings.listen.startswith("127.0.0.1:")
    assert settings.data_roots == ()
    assert settings.sources == ()
    assert settings.pace == Pace()


def test_flags_win_over_the_environment_and_that_over_the_file(nothing_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nothing_set / "wpb.toml").write_text("window_frames = 1\nreader_processes = 1\nqueue_messages = 1\n")
    monkeypatch.setenv("WPB_WINDOW_FRAMES", "2")
    monkeypatch.setenv("WPB_READER_PROCESSES", "2")
    settings = load(window_frames=3)
    assert (settings.window_frames, settings.reader_processes, settings.queue_messages) == (3, 2, 1)


def test_flags_that_were_not_given_count_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_WINDOW_FRAMES", "2")
    assert load(window_frames=None, data=None).window_frames == 2


def test_the_file_may_be_elsewhere(nothing_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nothing_set / "beamline.toml").write_text('sources = ["kafka://broker:9092/a"]\n[plans.my_scan]\nshape = [2, 3]\n')
    monkeypatch.setenv("WPB_CONFIG", str(nothing_set / "beamline.toml"))
    settings = load()
    assert settings.sources == ("kafka://broker:9092/a",)
    assert settings.defaults_of({"plan_name": "my_scan"}).shape == (2, 3)


def test_lists_are_separated_by_spaces_and_folders_by_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_SOURCES", "kafka://a:9092/x  kafka://b:9092/y")
    monkeypatch.setenv("WPB_DATA_ROOTS", "/dls:/data/my scans:")
    monkeypatch.setenv("WPB_PATH_MAP", "/dls=/mnt/dls /a=/b=c")
    settings = load()
    assert settings.sources == ("kafka://a:9092/x", "kafka://b:9092/y")
    assert settings.data_roots == (Path("/dls"), Path("/data/my scans"))
    assert settings.mappings == (("/dls", "/mnt/dls"), ("/a", "/b=c"))


def test_what_the_settings_say_of_a_plan_fills_its_start_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_PLANS", '{"scan": {"shape": [2, 3], "extents": [[0, 1], [5, 6]], "regions": {"a": {"rows": [0, 5]}}}}')
    defaults = load().defaults_of({"plan_name": "scan"})
    assert defaults == PlanDefaults(shape=(2, 3), extents=((0, 1), (5, 6)), regions={"a": {"rows": (0, 5)}})
    assert load().defaults_of({"plan_name": "other"}) == PlanDefaults()
    assert load().defaults_of({"plan_name": ["no", "name"]}) == PlanDefaults()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window_frames", "many"),
        ("window_frames", 0),
        ("dagster_port", 70_000),
        ("listen", "8000"),
        ("listen", "localhost:http"),
        ("listen", ":8000"),
        ("path_map", "/dls"),
        ("log_level", "LOUD"),
        ("kafka_start", "middle"),
        ("read_deadline_s", 0),
        ("plans.demo_plan.snaking", {"demo_plan": {"snaking": "sometimes"}}),
        ("plans.demo_plan.snake", {"demo_plan": {"snake": True}}),
        ("unheard_of", 5),
    ],
)
def test_an_error_names_the_setting_and_what_was_given(name: str, value: Any) -> None:
    with pytest.raises(ServiceError, match=f"setting {name}: .*given: "):
        load(**{name.partition(".")[0]: value})


@pytest.mark.parametrize("name", ["KAFKA_OPTIONS", "PLANS"])
def test_an_error_in_a_variables_json_names_the_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"WPB_{name}", "{security_protocol: SSL")
    with pytest.raises(ServiceError, match=name.lower()):
        load()


def test_an_error_in_the_file_names_the_file_or_the_setting(nothing_set: Path) -> None:
    (nothing_set / "wpb.toml").write_text("window_frames = \n")
    with pytest.raises(ServiceError, match=r"wpb\.toml"):
        load()
    (nothing_set / "wpb.toml").write_text("windows = 5\n")
    with pytest.raises(ServiceError, match="setting windows"):
        load()


def test_a_file_that_was_named_and_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_CONFIG", "missing.toml")
    with pytest.raises(ServiceError, match=r"missing\.toml"):
        load()


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {
            "sources": "kafka://a:9092/x kafka://b:9092/y",
            "origins": "https://a https://b",
            "path_map": "/dls=/mnt",
        },
        {"data": "/data/wpb", "data_roots": "/dls:/data/my scans", "viewer_url": "https://viewer/", "database_url": "postgresql://u:p@h/d"},
        {"window_seconds": 0.1, "run_idle_s": 1e6, "dagster_port": 0, "log_level": "DEBUG", "kafka_start": "latest"},
        {"kafka_options": {"security_protocol": "SSL", "sasl_plain_password": 'a "quoted" pass:word', "retries": 5}},
        {"embed_origins": "https://c:1 http://*.d"},
        {"plans": {}},
        {"insecure": True, "tls_certificate": "c.pem", "tls_key": "k.pem", "max_requests_per_s": 0.5, "max_connections": 7},
        {"token": "wpb_x", "oidc": {"issuer": "https://i", "audience": "wpb", "jwks": "keys.json", "admin": ["staff"]}, "hosts": "a b"},
        {"rules": [{"beamline": "b01-?", "shape": [2, 3]}, {"detector": "xsp*", "recipe": "raster"}]},
        {"plans": {"scan": {"shape": [2, 3], "snaking": [False, True], "axes": ["y", "x"], "regions": {"a": {"rows": [0, 5]}}}}},
    ],
)
def test_another_process_gets_equal_settings_through_its_environment(flags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(**flags)
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load() == settings


@pytest.mark.parametrize("origin", ["portal.example.org", "https://a;script-src", "https://a/page", "https://a,https://b", "*", "'self'"])
def test_what_may_frame_the_viewer_is_an_origin_and_nothing_that_a_header_would_take_otherwise(origin: str) -> None:
    with pytest.raises(ServiceError, match="is no web origin"):
        load(embed_origins=origin)


TOKENS = [{"name": "alice", "sha256": 64 * "a"}]
OIDC = {"issuer": "https://id.example.org", "audience": "wpb", "jwks": "https://id.example.org/keys"}


def test_tokens_are_read_by_each_process_itself_so_that_they_can_be_taken_back() -> None:
    assert "WPB_TOKENS" not in environment(load(tokens=TOKENS))


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "[::]", "beamline.example.org"])
def test_beyond_this_machine_nobody_is_served_without_tokens_unless_that_is_meant(host: str) -> None:
    with pytest.raises(ServiceError, match=f"listening on {re.escape(host)}:8000 .*wpb token.*--insecure"):
        load(listen=f"{host}:8000").check_exposure()
    load(listen=f"{host}:8000", tokens=TOKENS).check_exposure()
    load(listen=f"{host}:8000", insecure=True).check_exposure()
    load(listen=f"{host}:8000", oidc=OIDC).check_exposure()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "[::1]"])
def test_this_machine_is_served_without_tokens(host: str) -> None:
    load(listen=f"{host}:8000").check_exposure()


def test_who_shows_no_token_may_do_everything_on_this_machine_alone_else_watch_and_nothing_where_there_are_tokens() -> None:
    assert load().anonymous == ON_THIS_MACHINE
    assert load(insecure=True).anonymous == EVERYTHING
    assert load(listen="0.0.0.0:8000", insecure=True).anonymous == EVERYTHING
    assert load(viewer_url="https://wpb.example.org").anonymous == EVERYTHING, "behind a proxy everybody comes from this machine"
    assert load(tokens=TOKENS).anonymous is load(oidc=OIDC).anonymous is None
    assert ON_THIS_MACHINE.may("admin")
    assert not EVERYTHING.may("admin")


def test_on_loopback_its_own_names_the_viewers_and_those_of_the_settings_are_served() -> None:
    settings = load(viewer_url="https://WPB.example.org:8443/", hosts="wpb Other.example.org")
    assert settings.served_names == {"localhost", "wpb.example.org", "wpb", "other.example.org"}
    assert load(listen="0.0.0.0:8000", insecure=True).served_names is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"jwks": "http://id.example.org/keys"}, r"setting oidc\.jwks: .*https"),
        ({"algorithms": ["HS256"]}, r"setting oidc\.algorithms\.0: "),
        ({"algorithms": ["none"]}, r"setting oidc\.algorithms\.0: "),
        ({"audience": []}, r"setting oidc\.audience: "),
        ({"issuer": ""}, r"setting oidc\.issuer: "),
        ({"leeway_s": 3600}, r"setting oidc\.leeway_s: "),
        ({"clientid": "x"}, r"setting oidc\.clientid: "),
    ],
)
def test_a_provider_that_could_not_be_trusted_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ServiceError, match=told):
        load(oidc=OIDC | given)


async def test_neither_wpb_stream_nor_wpb_up_starts_where_anybody_could_watch(tmp_path: Path) -> None:
    settings = load(listen="0.0.0.0:0", data=tmp_path / "data", sources="nonsense")
    with pytest.raises(ServiceError, match="would let anybody watch"):
        await stream(settings)
    with pytest.raises(ServiceError, match="would let anybody watch"):
        async with running(settings):
            pass
    assert not (tmp_path / "data").exists()


def test_the_viewer_is_where_it_is_said_to_be_or_else_where_it_is_served() -> None:
    assert load(listen="127.0.0.1:80").viewer == "http://127.0.0.1:80/"
    assert load(listen="127.0.0.1:80", tls_certificate="c.pem").viewer == "https://127.0.0.1:80/"
    assert load(viewer_url="https://wpb.example.org").viewer == "https://wpb.example.org/"


def test_the_feed_is_found_where_it_is_served_or_where_its_certificate_is_for() -> None:
    assert load(listen="127.0.0.1:80", viewer_url="https://wpb.example.org").feed == "ws://127.0.0.1:80/ws"
    assert load(listen="127.0.0.1:80", tls_certificate="c.pem", viewer_url="https://wpb.example.org").feed == "wss://wpb.example.org/ws"


@pytest.mark.parametrize(("text", "address"), [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:80", ("::1", 80)), ("host:0", ("host", 0))])
def test_addresses_are_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, wpb_stream; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_plans_of_ones_own_are_added_to_those_that_are_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WPB_PLANS", '{"grid_scan": {"axes": ["y", "x"]}}')
    settings = load()
    assert settings.defaults_of({"plan_name": "demo_plan"}).snaking == (False, True)
    assert settings.defaults_of({"plan_name": "grid_scan"}).axes == ("y", "x")
    monkeypatch.setenv("WPB_PLANS", '{"demo_plan": {"snaking": [false, false]}}')
    assert load().defaults_of({"plan_name": "demo_plan"}).snaking == (False, False)
