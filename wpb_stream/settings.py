"""Every setting, with its unit, its default and the reason for it.

Read, the later winning: the defaults, ``wpb.toml`` in the working folder (or the file ``WPB_CONFIG`` names), environment variables
``WPB_<NAME>``, the command line's flags of the same names. docs/reference/settings.md lists them all.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from wpb_stream.core.access import EVERYTHING, ON_THIS_MACHINE, Grant, is_loopback
from wpb_stream.core.exceptions import ServiceError
from wpb_stream.core.live import Pace
from wpb_stream.core.recipe import PlanDefaults
from wpb_stream.oidc import Oidc
from wpb_stream.rules import BUILT_IN_PLANS, Plan, Rule, defaults_of
from wpb_stream.tokens import Token

Words = Annotated[tuple[str, ...], NoDecode]
Paths = Annotated[tuple[Path, ...], NoDecode]


class Settings(BaseSettings):
    """The settings of wpb."""

    model_config = SettingsConfigDict(env_prefix="WPB_", extra="forbid", frozen=True)

    sources: Words = Field(
        (), description="What to listen to, separated by spaces: kafka://host:9092/topic[,topic], stomp://, zmq://, file://."
    )
    database_url: str | None = Field(None, description="PostgreSQL of the catalogue, postgresql://...; `wpb up` starts its own if absent.")
    data: Path = Field(Path(".wpb"), description="Folder for everything wpb keeps: results, logs, its own PostgreSQL, Dagster's home.")
    data_roots: Paths = Field((), description="Folders detector files may be read from, separated by `:`. None is read from anywhere else.")
    path_map: Words = Field((), description="FROM=TO pairs, separated by spaces: where the files that documents name are mounted here.")
    listen: str = Field(
        "127.0.0.1:8000", description="HOST:PORT of viewer and feed. Beyond this machine only with `tokens`, or `insecure`."
    )
    insecure: bool = Field(False, description="Listen beyond this machine without `tokens`: a proxy in front asks, or anybody may watch.")
    hosts: Words = Field(
        (),
        description="More names that are served while `listen` is on loopback, separated by spaces: those of loopback and of `viewer_url` "
        "always are, and no others, so that no page elsewhere passes for one of its own.",
    )
    tls_certificate: Path | None = Field(None, description="PEM file: serve https and wss with this certificate, and those after it.")
    tls_key: Path | None = Field(None, description="PEM file of its key, without a password; if absent, it is in the certificate's file.")
    origins: Words = Field((), description="Other web origins that may open the feed, separated by spaces; pages of its own always may.")
    embed_origins: Words = Field(
        (), description="Other web origins whose pages may show the viewer in a frame (`?embed=1`), separated by spaces."
    )
    tokens: tuple[Token, ...] = Field(
        (),
        description="Who may watch: name, sha256, scopes, sessions; `wpb token` makes them. If there are none, whoever reaches LISTEN may. "
        "Read again when the file changes.",
    )
    oidc: Oidc | None = Field(
        None,
        description="An OpenID provider whose tokens let in as well: issuer, audience, jwks, algorithms, leeway_s, scope_claims, watch, "
        "admin, sessions_claim, name_claim.",
    )
    token: str | None = Field(
        None,
        repr=False,
        description="Token that other processes of wpb, Dagster's, show the feed, which knows it; `wpb up` gives them one of their own.",
    )
    viewer_url: str | None = Field(None, description="How browsers reach the viewer, if that is not http://LISTEN (behind a proxy).")
    compression: bool = Field(
        False, description="Compress messages for clients that offer it: two fifths of the bytes, for ten times the processor time of each."
    )
    max_message_bytes: int = Field(64 * 1024, ge=1024, description="Largest message a client may send; a larger one closes with 1009.")
    max_subscriptions: int = Field(128, ge=1, description="Subscriptions one connection may hold.")
    max_requests_per_s: float = Field(100.0, gt=0, description="Requests a connection may make each second; twice as many at once.")
    max_connections: int = Field(2000, ge=1, description="Websockets at the same time; more are answered with HTTP 503.")
    max_connections_per_address: int = Field(
        200, ge=1, description="The same of one address, HTTP 429; not counted on loopback, where a proxy's clients come from."
    )
    max_wrong_tokens_per_minute: int = Field(
        20, ge=1, description="Tokens that are not known an address may show before none of its tokens is looked at; likewise."
    )
    dagster_port: int = Field(3000, ge=0, le=65535, description="Port of Dagster's web server, on loopback: it has no authentication.")
    dagster_url: str | None = Field(
        None, description="Dagster's web server, if that is not http://127.0.0.1:DAGSTER_PORT: for `reprocess`, and for links to its pages."
    )
    blueapi_url: str | None = Field(
        None, description="blueapi's REST, http://host:8000, where it asks for no login: the viewer can have it run a plan again."
    )
    dagster_database_url: str | None = Field(
        None, description="PostgreSQL of Dagster's own storage; by default its own database beside ours."
    )
    window_frames: int = Field(64, ge=1, description="Frames read and reduced together at most.")
    window_seconds: float = Field(
        0.05, ge=0, description="Seconds a frame waits for others before its window is closed: 20 updates a second."
    )
    reader_processes: int = Field(2, ge=1, description="Processes that read detector files: HDF5 has one lock a process.")
    read_deadline_s: float = Field(10.0, gt=0, description="Seconds one read may take before its process is replaced: file systems hang.")
    frame_deadline_s: float = Field(30.0, ge=0, description="Seconds a late frame is waited for before its point is marked missing.")
    stop_grace_s: float = Field(5.0, ge=0, description="Seconds that documents which the stop document overtook are waited for.")
    run_idle_s: float = Field(900.0, gt=0, description="Seconds without any document after which an unstopped run counts as lost.")
    database_answer_s: float = Field(
        60.0,
        gt=0,
        description="Seconds that the database may take to answer, before it is asked again over another connection, for twice as long.",
    )
    queue_messages: int = Field(
        10_000, ge=1, description="Messages taken from the buses ahead of the catalogue; beyond, they wait in the bus."
    )
    kafka_fetch_wait_ms: int = Field(
        10, ge=0, description="Milliseconds a broker may hold a fetch for more data, longer where it needs it: latency against load."
    )
    kafka_start: Literal["earliest", "latest"] = Field(
        "earliest", description="Where to begin on a topic never read before; `latest` holds for those that exist at start-up."
    )
    kafka_options: dict[str, Any] = Field(
        {},
        description="More options of the Kafka client, in JSON: security_protocol, ssl_cafile, ssl_certfile, sasl_mechanism, ...",
    )
    gateway_topic: str | None = Field(
        None, description="kafka://host:9092/topic: where `wpb stream` publishes what it shows, and `wpb gateway` has it from."
    )
    gateway_again_s: float = Field(
        3600.0, gt=0, description="Seconds after which running runs are published whole again: the topic must keep messages twice as long."
    )
    stomp_options: dict[str, Any] = Field(
        {},
        description="Options of the STOMP client, in JSON: username, password or password_file, ssl_cafile, heartbeat_s, durable, ...",
    )
    zmq_pickle: Literal["refuse", "run code of whoever publishes"] = Field(
        "refuse",
        description="What to do with pickled ZMQ messages, Bluesky's default: reading one can run any code that its sender put into it.",
    )
    zmq_options: dict[str, str] = Field(
        {},
        description="Keys for ZMQ proxies with CURVE security, in JSON: the files secret_path and server_public_key, as for ClientCurve.",
    )
    reprocess_days: float = Field(
        7.0, ge=0, description="Days after its end in which a run that failed in Dagster, or lacks frames, is made again each night."
    )
    keep_revisions: int = Field(
        10, ge=1, description="Revisions kept of a run besides the live one, when `wpb prune` or the nightly job tidies."
    )
    keep_revisions_days: float = Field(
        0.0, ge=0, description="Days after which they go even if they are fewer, but for the newest; 0 for never."
    )
    dagster_log_days: float = Field(
        30.0, ge=0, description="Days after which the nightly job removes what Dagster runs logged of themselves; 0 for never."
    )
    plans: dict[str, Plan] = Field(
        BUILT_IN_PLANS,
        description="By plan name: recipe, shape, snaking, extents, axes, regions, `wpb` that it leaves out. Added to the default.",
        validate_default=True,
    )
    rules: tuple[Rule, ...] = Field(
        (), description="The same by plan_name, beamline, data_session and detector, with patterns; the first that fits and says it counts."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="How much is logged.")

    @field_validator("sources", "path_map", "origins", "embed_origins", "hosts", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("data_roots", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        return tuple(part for part in value.split(":") if part) if isinstance(value, str) else value

    @field_validator("path_map")
    @classmethod
    def _check_pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pair in value:
            if "=" not in pair:
                raise ValueError(f"{pair!r} is not of the form FROM=TO")
        return value

    @field_validator("embed_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        # They become part of a header, in which other characters would mean something else.
        for origin in value:
            if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]*-]+", origin):
                raise ValueError(f"{origin!r} is no web origin, as https://portal.example.org or http://localhost:5173")
        return value

    @field_validator("plans")
    @classmethod
    def _keep_built_in_plans(cls, value: dict[str, Plan]) -> dict[str, Plan]:
        return {**BUILT_IN_PLANS, **value}

    @field_validator("listen")
    @classmethod
    def _check_address(cls, value: str) -> str:
        split_address(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file())

    @property
    def pace(self) -> Pace:
        """How frames are gathered and waited for."""
        return Pace(self.window_frames, self.window_seconds, self.frame_deadline_s, self.stop_grace_s, self.run_idle_s)

    @property
    def viewer(self) -> str:
        """How browsers reach the viewer, ending in ``/``."""
        return f"{(self.viewer_url or self.served).rstrip('/')}/"

    @property
    def served(self) -> str:
        """What is served at ``listen``, as a URL."""
        return f"http{'s' if self.tls_certificate else ''}://{self.listen}/"

    @property
    def dagster(self) -> str:
        """Dagster's web server, as a URL that ends in ``/``."""
        return f"{(self.dagster_url or f'http://127.0.0.1:{self.dagster_port}').rstrip('/')}/"

    @property
    def feed(self) -> str:
        """The websocket feed, as a URL."""
        # A certificate is for the name in the viewer's URL.
        return f"ws{(self.viewer if self.tls_certificate else self.served).removeprefix('http')}ws"

    def check_exposure(self) -> None:
        """See that nobody can watch who was not meant to.

        :raises ServiceError: whoever reaches this machine could
        """
        host, _ = split_address(self.listen)
        if not (self.tokens or self.oidc or self.insecure or is_loopback(host)):
            raise ServiceError(
                f"listening on {self.listen} would let anybody watch who reaches it: make tokens with `wpb token`, "
                "or say --insecure (WPB_INSECURE=true) if a proxy in front asks for passwords"
            )

    @property
    def anonymous(self) -> Grant | None:
        """What those may who show no token; None if they must show one."""
        if self.tokens or self.oidc:
            return None
        # Behind a proxy everybody comes from loopback, and a public address of the viewer says that there is one.
        alone = is_loopback(split_address(self.listen)[0]) and self.viewer_url is None and not self.insecure
        return ON_THIS_MACHINE if alone else EVERYTHING

    @property
    def served_names(self) -> frozenset[str] | None:
        """Names by which the viewer is reached besides those of loopback; None for any."""
        if not is_loopback(split_address(self.listen)[0]):
            return None
        viewer = urlsplit(self.viewer_url or "").hostname
        return frozenset({"localhost", *(name.lower() for name in self.hosts), *([viewer] if viewer else [])})

    @property
    def results(self) -> Path:
        """Folder of the results."""
        return self.data / "results"

    @property
    def mappings(self) -> tuple[tuple[str, str], ...]:
        """``path_map`` as pairs."""
        return tuple((pair.partition("=")[0], pair.partition("=")[2]) for pair in self.path_map)

    def defaults_of(self, start: Mapping[str, Any]) -> PlanDefaults:
        """What the settings say of a run, by its start document."""
        return defaults_of(start, self.rules, self.plans)


STRUCTURED = frozenset({"kafka_options", "stomp_options", "zmq_options", "plans", "rules", "tokens", "oidc"})
"""Settings that are tables in a file, and JSON in an environment variable."""
NO_FLAGS = STRUCTURED | {"token"}
"""Settings that are no options of commands: JSON is too long for one, and everybody on the machine can read those of its processes."""


def settings_file() -> Path:
    """The file that settings are read from, if it is there."""
    return Path(os.environ.get("WPB_CONFIG", "wpb.toml"))


def load(**flags: Any) -> Settings:
    """The settings, with the flags that are not None on top.

    :raises ServiceError: naming the setting that is wrong
    """
    named = os.environ.get("WPB_CONFIG")
    if named and not Path(named).is_file():
        raise ServiceError(f"setting WPB_CONFIG: there is no file {named}; see docs/reference/settings.md")
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except (SettingsError, TOMLDecodeError) as error:
        where = f"{settings_file()}: " if isinstance(error, TOMLDecodeError) else ""
        raise ServiceError(f"settings: {where}{error}; see docs/reference/settings.md") from None
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        given = "" if name.startswith("token") else f" (given: {first['input']!r})"  # a token where its hash belongs is not shown
        raise ServiceError(f"setting {name}: {first['msg']}{given}; see docs/reference/settings.md") from None


def split_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    :raises ValueError: it is not of that form
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not of the form HOST:PORT")
    return host.strip("[]"), int(port)


def environment(settings: Settings) -> dict[str, str]:
    """Environment variables that give another process the same settings, but for the tokens: it reads those by itself.

    A variable would count over the file for as long as that process runs, and nobody's token could be taken back.
    """
    variables: dict[str, str] = {}
    for name, value in settings.model_dump(mode="json", exclude={"tokens"}).items():
        if value is None:
            continue
        if name in STRUCTURED:
            text = json.dumps(value)
        elif isinstance(value, list):
            text = (":" if name == "data_roots" else " ").join(value)
        else:
            text = str(value)
        variables[f"WPB_{name.upper()}"] = text
    return variables
