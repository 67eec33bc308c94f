"""The callback for a RunEngine: it takes a document in microseconds, and neither blocks nor fails a plan, whatever the broker does."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from wpb_stream.core.keys import RunKeys
from wpb_stream.publishing.outbox import Outbox
from wpb_stream.publishing.plain import publishable
from wpb_stream.publishing.spool import Spool

if TYPE_CHECKING:
    from wpb_stream.publishing.delivery import Delivery

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 2**20
"""Of documents that wait for the broker."""
MAX_DOCUMENTS = 100_000
"""Documents that wait for the broker."""
CLOSE_S = 5.0
"""How long the end of a process may wait for the broker."""
SPOOL_S = 5.0
"""How long it may wait for the spool besides."""


class Publisher:
    """Publishes every document of a RunEngine to a Kafka topic: ``RE.subscribe(Publisher("kafka://host:9092/topic"))``.

    Messages are as bluesky-kafka's: msgpack of ``[name, document]``, numpy arrays as msgpack-numpy writes them, the uid of the run as the
    key. A call encodes the document, because it may be changed after, puts it into memory and returns; it raises nothing. A thread of its
    own sends, at least once and in order, and connects again for ever. What finds no room in memory, what the broker refuses, and what
    still waits when the process ends goes to the spool, a file of JSON Lines whose name the log tells.

    Several threads may call it; in a child of fork it begins anew, without its parent's documents.

    :param url: ``kafka://host:9092[,host:9092]/topic``
    :param options: for TLS and logins: ``security_protocol``, ``ssl_cafile``, ``sasl_mechanism``, ... as in ``WPB_KAFKA_OPTIONS``
    :param spool: the spool's folder; ``wpb/spool`` among the user's files if None
    :param max_bytes: bytes of documents that wait for the broker at most, and again as many for the spool
    :param max_documents: the same in documents
    :raises ServiceError: the URL or an option is wrong. That the broker is away is no error
    """

    def __init__(
        self,
        url: str,
        *,
        options: Mapping[str, Any] | None = None,
        spool: Path | str | None = None,
        max_bytes: int = MAX_BYTES,
        max_documents: int = MAX_DOCUMENTS,
    ) -> None:
        self.url = url
        self._bounds = max_bytes, max_documents
        self._folder = None if spool is None else Path(spool)
        self._deliver = _delivery_to(url, options or {})
        self._begin()
        _publishers.add(self)
        atexit.register(self.close)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document; returns at once and raises nothing."""
        run: str | None = None
        try:
            run = self._keys.run_of(name, doc)
            value, altered = publishable(name, doc)
            self._outbox.put(run, name, value)
            if altered is not None:
                self._outbox.remark(f"documents of run {run} hold what cannot be published ({altered}): it is published as text")
        except Exception as error:  # nothing here may fail a plan
            self._outbox.fail(name, run, f"it cannot be encoded ({error!r})")
        self._wake()

    def statistics(self) -> dict[str, int]:
        """Documents ``published``, ``waiting``, ``spooled`` and ``failed`` (neither was possible), and ``waiting_bytes``."""
        return self._outbox.statistics()

    @property
    def spool(self) -> Path | None:
        """The spool's file, once something is in it."""
        return self._spool.path

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Wait until everything is published, but not for ever: the rest goes to the spool. A document that comes after begins anew.

        :param timeout_s: less is waited if the broker is found to be away. Writing the spool may take `SPOOL_S` more
        """
        thread, delivery = self._thread, self._delivery
        if thread is None or delivery is None:
            return
        delivery.finish(timeout_s)
        thread.join(timeout_s + SPOOL_S)
        if thread.is_alive():
            waiting = self.statistics()["waiting"]
            log.error("%d documents for %s are LOST: they could neither be published nor spooled in time", waiting, self.url)
            return
        if not self._outbox.is_empty:  # the thread had died, or they came as it ended
            delivery.abandon()
        self._thread = self._delivery = None
        counts = self.statistics()
        if counts["spooled"] or counts["failed"]:
            log.warning("of the documents for %s, %d are in %s, %d are LOST", self.url, counts["spooled"], self.spool, counts["failed"])

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._keys, self._outbox = RunKeys(), Outbox(*self._bounds)
        self._spool = Spool(self._folder, self.url)
        self._delivery: Delivery | None = None
        self._thread: threading.Thread | None = None

    def _wake(self) -> None:
        """See that a thread sends. It is started when the first document comes, and again should it ever die."""
        try:
            thread, delivery = self._thread, self._delivery
            if thread is None or delivery is None or not thread.is_alive():
                delivery = self._start()
            delivery.wake()
        except Exception:  # noqa: S110  the interpreter is ending, say: closing puts the document into the spool
            pass

    def _start(self) -> Delivery:
        with self._lock:
            if self._thread is None or self._delivery is None or not self._thread.is_alive():
                self._delivery = self._deliver(self._outbox, self._spool)
                self._thread = threading.Thread(target=self._delivery.run, name=f"publisher to {self.url}", daemon=True)
                self._thread.start()
            return self._delivery


def _delivery_to(url: str, options: Mapping[str, Any]) -> Callable[[Outbox, Spool], Delivery]:
    """Makes deliveries to a topic.

    :raises ServiceError: the URL or an option is wrong
    """
    # aiokafka takes as long to import as numpy: those who only watch runs need not wait for it.
    from wpb_stream.publishing.connection import Connection
    from wpb_stream.publishing.delivery import Delivery
    from wpb_stream.sources.kafka_settings import PRODUCER_OPTIONS, KafkaAddress, KafkaOptions

    address = KafkaAddress.parse_one(url)
    checked = KafkaOptions.parse(options, PRODUCER_OPTIONS, setting="options of the Publisher")
    connection = Connection(address.servers, address.topics[0], {**checked.connection, **checked.client})
    return lambda outbox, spool: Delivery(connection, outbox, spool)


_publishers: WeakSet[Publisher] = WeakSet()


def _begin_anew() -> None:
    """In a child of fork: its parent's thread is not here, and its parent's documents are its parent's."""
    for publisher in list(_publishers):
        publisher._begin()  # noqa: SLF001


os.register_at_fork(after_in_child=_begin_anew)
