"""Which checks the settings ask for, and how they are made: all at once, each with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from wpb_stream.core.exceptions import ServiceError, WpbError
from wpb_stream.doctor import buses, databases, folders, machine, variables
from wpb_stream.doctor.child import ask
from wpb_stream.doctor.findings import Finding, ok, warning, wrong
from wpb_stream.settings import Settings, environment, split_address
from wpb_stream.up import database_of

DEADLINE_S = 10.0
"""How long a check may take."""
AT_ONCE = 8
"""Checks made at the same time: each may be a process."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    subject: str
    """As the finding names it."""
    look: Callable[[], Awaitable[Finding]]
    if_silent: str = "find out why it does not answer"
    """What to do if the deadline passes."""


async def examine(checks: Sequence[Check], deadline_s: float = DEADLINE_S) -> list[Finding]:
    """Make all checks, and give their findings in the same order. None is ever raised out of a check."""
    room = asyncio.Semaphore(AT_ONCE)

    async def examined(check: Check) -> Finding:
        async with room:
            return replace(await _within(check, deadline_s), subject=check.subject)

    async with asyncio.TaskGroup() as tasks:
        looking = [tasks.create_task(examined(check)) for check in checks]
    return [task.result() for task in looking]


async def _within(check: Check, deadline_s: float) -> Finding:
    try:
        async with asyncio.timeout(deadline_s):
            return await check.look()
    except TimeoutError:
        return wrong(f"no answer within {deadline_s:g} s", check.if_silent)
    except WpbError as error:
        return wrong(str(error))
    except Exception as error:
        return wrong(f"the check itself failed: {error!r}", "tell the developers of wpb")


def checks_of(settings: Settings) -> list[Check]:
    """All checks for these settings."""
    return [
        *general_checks(),
        *source_checks(settings),
        *_gateway_checks(settings),
        *_folder_checks(settings),
        *_database_checks(settings),
        *_port_checks(settings),
        _here("file walls", machine.look_at_walls),
        _elsewhere("HDF5 compression", "install h5py and hdf5plugin anew", machine.look_at_filters),
    ]


def general_checks() -> list[Check]:
    """Those that are possible although the settings cannot be read."""
    return [
        _here("wpb", machine.look_at_versions),
        _here("settings file", variables.look_at_file),
        _here("environment", variables.look_at_variables),
    ]


def source_checks(settings: Settings) -> list[Check]:
    """One for each source."""
    silent, same = "see that its server runs, and that no firewall is in between; check WPB_SOURCES", environment(settings)
    if not settings.sources:
        nothing = warning("none is set; `wpb up` starts a broker of its own, for trying out", "name your beamline's bus by WPB_SOURCES")
        return [_here("sources", lambda: nothing)]
    return [_elsewhere(f"source {url}", silent, buses.probe, url, environment=same) for url in dict.fromkeys(settings.sources)]


def _gateway_checks(settings: Settings) -> Iterator[Check]:
    if (url := settings.gateway_topic) is not None:
        silent = "see that its broker runs, and that no firewall is in between; check WPB_GATEWAY_TOPIC"
        yield _elsewhere(f"gateway topic {url}", silent, buses.look_at_gateway_topic, url, environment=environment(settings))


def _folder_checks(settings: Settings) -> Iterator[Check]:
    silent = "its file system hangs: see to the file server, or to the mount"
    roots = [str(root) for root in settings.data_roots]
    if not roots:
        nothing = warning("none is set: no detector file is read", "name the folders they are in by WPB_DATA_ROOTS")
        yield _here("data roots", lambda: nothing)
    for root in roots:
        yield _elsewhere(f"data root {root}", silent, folders.look_at_root, root)
    for source, target in settings.mappings:
        yield _elsewhere(f"path map {source}={target}", silent, folders.look_at_mapping, source, target, roots)
    yield _elsewhere("results folder", silent, folders.look_at_results, str(settings.results))


def _database_checks(settings: Settings) -> Iterator[Check]:
    silent = "see to the PostgreSQL server; check WPB_DATABASE_URL"
    wanted = [settings.database_url is None, not settings.sources]
    if any(wanted):
        yield _here("own services", machine.look_at_wheels, str(settings.data), *wanted)
    try:
        url = database_of(settings)
    except ServiceError:
        yield _here("database", lambda: ok("none is named, and `wpb up` does not run its own now"))
        return
    yield _elsewhere("database", silent, databases.look_at_catalogue, url)
    yield _elsewhere("Dagster's database", silent, databases.look_at_dagster, settings.dagster_database_url, url)
    yield _elsewhere("dead letters", silent, databases.look_at_letters, url)


def _port_checks(settings: Settings) -> Iterator[Check]:
    silent = "whoever listens there hangs: end it, or choose another port"
    host, port = split_address(settings.listen)
    dagster, tls = ("127.0.0.1", settings.dagster_port), settings.tls_certificate is not None
    yield _elsewhere(f"viewer's port {port}", silent, machine.look_at_port, host, port, "/healthz", "ok", "WPB_LISTEN", tls)
    yield _elsewhere(
        f"Dagster's port {settings.dagster_port}", silent, machine.look_at_port, *dagster, "/server_info", "dagster", "WPB_DAGSTER_PORT"
    )


def _here(subject: str, function: Callable[..., Finding], *arguments: object) -> Check:
    """A check that waits for nothing."""

    async def look() -> Finding:
        return function(*arguments)

    return Check(subject, look)


def _elsewhere(
    subject: str, if_silent: str, function: Callable[..., Finding], *arguments: object, environment: Mapping[str, str] | None = None
) -> Check:
    """A check that may hang."""
    return Check(subject, partial(ask, function, *arguments, environment=environment), if_silent)
