"""Apache Kafka itself, as one process that is broker and controller, with listeners of every kind of security.

Its jars come through Maven (see ``kafka/pom.xml``) and are kept in ``.tools``; certificates are made anew each time.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.certificates import Certificates
from wpb_stream.host import free_port
from wpb_stream.launcher import launch_argv

POM = Path(__file__).parent / "kafka" / "pom.xml"
TOOLS = Path(__file__).parents[2] / ".tools"
READY_S = 120.0
LISTENERS = {
    "PLAIN": "PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "LOGIN": "SASL_PLAINTEXT",
    "SECURE": "SASL_SSL",
    "CONTROLLER": "PLAINTEXT",
}
"""Name and security protocol of each; MUTUAL asks clients for a certificate."""
USER, PASSWORD = "wpb", "correct horse"
LOGIN = {"sasl_plain_username": USER, "sasl_plain_password": PASSWORD}
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_numbers = itertools.count()
"""Each node of each process that runs tests has ports of its own, also while it is killed; they lie below those the system gives away."""
_MODULE = "org.apache.kafka.common.security"
_JAVA = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_STARTED = "Kafka Server started"
_LOGGING = """log4j.rootLogger=WARN, stderr
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=%d %p %m (%c)%n
"""


def jars() -> Path:
    """The folder of Kafka's jars, fetched at the first call."""
    folder = TOOLS / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    copy = ["dependency:copy-dependencies", f"-DoutputDirectory={partial}", "-DincludeScope=runtime"]
    fetched = subprocess.run(["mvn", "-q", "-B", "-f", POM, *copy], capture_output=True, text=True, check=False, timeout=600)
    if fetched.returncode:
        pytest.fail(f"Maven cannot fetch Apache Kafka:\n{fetched.stdout[-2000:]}{fetched.stderr[-2000:]}")
    with suppress(OSError):  # another test session was faster
        partial.rename(folder)
    shutil.rmtree(partial, ignore_errors=True)
    return folder


class ApacheKafka:
    """One node that keeps its topics on disk; it can be stopped, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = Certificates(folder)
        ports: list[int] = []
        first = 20_000 + 128 * (os.getpid() % 78) + 8 * next(_numbers)
        for _ in LISTENERS:
            ports.append(free_port("127.0.0.1", first, besides=ports))
        self._ports = dict(zip(LISTENERS, ports, strict=True))
        self._log = folder / "kafka.log"
        self._settings = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self._format()

    def address(self, listener: str = "PLAIN") -> str:
        """``host:port`` of a listener; ``localhost`` is the name in its certificate."""
        return f"localhost:{self._ports[listener]}"

    def options(self, listener: str, **further: Any) -> dict[str, Any]:
        """What a client needs to be told to connect to a listener, as wpb's settings name it."""
        options: dict[str, Any] = {"security_protocol": LISTENERS[listener], **further}
        if "SSL" in LISTENERS[listener]:
            options["ssl_cafile"] = str(self.certificates.authority)
        if "SASL" in LISTENERS[listener]:
            options |= LOGIN
        if listener == "MUTUAL":
            options |= {"ssl_certfile": str(self.certificates.client), "ssl_keyfile": str(self.certificates.client_key)}
        return options

    def start(self) -> None:
        """Start it, and wait until it answers."""
        argv = self._java("kafka.Kafka", str(self._settings))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(launch_argv(argv, death_signal=signal.SIGKILL), stdout=log, stderr=log, cwd=self.folder)
        until = time.monotonic() + READY_S
        while self._process.poll() is None and time.monotonic() < until:
            if _STARTED in self._log.read_text():
                return
            time.sleep(0.05)
        self.kill()
        pytest.fail(f"Apache Kafka does not start:\n{self._log.read_text()[-4000:]}")

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does; its connections stay."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power failure would."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _java(self, main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j.configuration=file:{self.folder / 'log4j.properties'}"
        return ["java", *_JAVA, logging, "-cp", f"{jars()}/*", main, *arguments]

    def _format(self) -> None:
        self._settings.write_text("\n".join(f"{name}={value}" for name, value in self._properties().items()))
        (self.folder / "log4j.properties").write_text(_LOGGING)
        users = [part for name in MECHANISMS[1:] for part in ("--add-scram", f"{name}=[name={USER},password={PASSWORD}]")]
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        storage = self._java("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._settings), *users)
        done = subprocess.run(storage, capture_output=True, text=True, check=False, timeout=READY_S)
        if done.returncode:
            pytest.fail(f"Apache Kafka's storage cannot be made:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _properties(self) -> dict[str, Any]:
        listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in self._ports.items())
        advertised = ",".join(f"{name}://localhost:{port}" for name, port in self._ports.items() if name != "CONTROLLER")
        properties: dict[str, Any] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._ports['CONTROLLER']}",
            "controller.listener.names": "CONTROLLER",
            "listeners": listeners,
            "advertised.listeners": advertised,
            "inter.broker.listener.name": "PLAIN",
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in LISTENERS.items()),
            "log.dirs": self.folder / "topics",
            "auto.create.topics.enable": "false",
            "num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.num.partitions": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.retention.check.interval.ms": 500,
            "log.initial.task.delay.ms": 500,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.broker,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.authority,
            "listener.name.mutual.ssl.client.auth": "required",
        }
        for listener in ("login", "secure"):
            properties[f"listener.name.{listener}.sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
            for mechanism in MECHANISMS:
                prefix = f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config"
                if mechanism == "PLAIN":
                    properties[prefix] = f'{_MODULE}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
                else:
                    properties[prefix] = f"{_MODULE}.scram.ScramLoginModule required;"
        return properties


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Apache Kafka, started once for all tests that ask for it. It makes no topics by itself."""
    with _running(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def own_apache_kafka(tmp_path: Path) -> Iterator[ApacheKafka]:
    """Apache Kafka for one test alone, which may do with it what it likes."""
    (tmp_path / "kafka").mkdir()
    with _running(tmp_path / "kafka") as kafka:
        yield kafka


@contextmanager
def _running(folder: Path) -> Iterator[ApacheKafka]:
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"NOT TESTED against Apache Kafka: no {' and no '.join(missing)} here; apt-get install maven default-jre-headless")
    kafka = ApacheKafka(folder)
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.kill()
