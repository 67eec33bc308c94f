"""What the process counts, as Prometheus asks for it: read where it is counted, at the moment it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from wpb_stream.core.board import Board
from wpb_stream.core.codes import ERRORS, NOTICES, OTHER, REFUSALS
from wpb_stream.core.documents import NAMES
from wpb_stream.feed.places import Places
from wpb_stream.feed.sent import LAGS_S, Sent

ENDS = ("success", "abort", "fail", "lost")
"""How runs end."""
BUSES = ("kafka", "stomp", "zmq", "file", "dead-letters")
"""Kinds of what is listened to; dead letters that are replayed are one."""


class Metrics(Collector):
    """The numbers of one process.

    :param version: of the server
    """

    def __init__(self, board: Board, sent: Sent, places: Places, version: str) -> None:
        self._board, self._sent, self._places, self._version = board, sent, places, version
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All of them, in the Prometheus text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The numbers as they are now. None has a label whose values are not known beforehand: their number is bounded."""
        counts, sent = self._board.counts, self._sent
        yield InfoMetricFamily("wpb", "The server.", {"version": self._version})
        yield _by("wpb_documents", "Documents taken in, each once.", "name", NAMES, counts.documents)
        yield CounterMetricFamily("wpb_dead_letters", "Messages that could not be used.", counts.dead_letters)
        yield CounterMetricFamily("wpb_losses", "Times that a bus had let go of messages before they were read.", counts.losses)
        yield CounterMetricFamily("wpb_lost_messages", "Messages that these were, as far as that is known.", counts.lost)
        told = "Documents that waited for others and were given up, as too many did."
        yield CounterMetricFamily("wpb_documents_given_up", told, counts.given_up())
        yield GaugeMetricFamily("wpb_queue_messages", "Messages that wait between the listeners and the walk.", counts.waiting())
        yield CounterMetricFamily("wpb_frames_read", "Frames read; all that a file holds for one point are one.", counts.frames)
        retries = "Times that a frame was looked for again, as it had not been in its file."
        yield CounterMetricFamily("wpb_frame_retries", retries, counts.retries)
        yield CounterMetricFamily("wpb_points_missing", "Points whose frame was given up.", counts.missing)
        yield CounterMetricFamily("wpb_readers_replaced", "Reader processes that hung or died.", counts.readers_replaced())
        yield _by("wpb_notices", "Notices told to those who watch, by their code.", "code", (*NOTICES, OTHER), counts.notices)
        yield _by("wpb_bus_retries", "Times that a bus was away and is asked again.", "bus", BUSES, counts.bus_retries)
        told = "Times that the catalogue's database did not answer and is asked again."
        yield CounterMetricFamily("wpb_catalogue_retries", told, counts.catalogue_retries)
        yield CounterMetricFamily("wpb_rows_placed", "Rows placed in the tables of points.", counts.rows)
        running = sum(not made.ended for made in self._board.live.values())
        yield GaugeMetricFamily("wpb_runs_running", "Runs that have not ended.", running)
        yield _by("wpb_runs_ended", "Ends of runs; one that is made anew ends again.", "status", ENDS, counts.ended)
        told = "Rows that are not on the topic for gateways yet."
        yield GaugeMetricFamily("wpb_gateway_rows_owed", told, counts.unpublished())
        told = "Messages on the topic for gateways that this one has not read yet."
        yield GaugeMetricFamily("wpb_gateway_unread_messages", told, counts.unread())
        yield CounterMetricFamily("wpb_gateway_gaps", "Times that something was missing on the topic for gateways.", counts.gaps)
        yield GaugeMetricFamily("wpb_clients", "Clients connected to the feed.", sent.clients)
        yield GaugeMetricFamily("wpb_subscriptions", "Subscriptions of these clients.", len(self._places))
        yield _by("wpb_refused", "Who was not let in, by HTTP status or close code.", "why", REFUSALS, sent.refused)
        yield _by("wpb_errors", "Requests that were answered with an error, by its code.", "code", ERRORS, sent.errors)
        yield CounterMetricFamily("wpb_clients_cut_off", "Clients that took nothing for too long.", sent.cut_off)
        yield CounterMetricFamily("wpb_sent_bytes", "Bytes of messages sent to clients of the feed.", sent.bytes)
        lag = "Of each row, from the arrival of the document that announced it until it was first sent to a client that waited for it."
        buckets = list(zip([*map(str, LAGS_S), "+Inf"], accumulate(sent.lags.tolist()), strict=True))
        yield HistogramMetricFamily("wpb_lag_seconds", lag, buckets, sent.lag_s)


def _by(name: str, told: str, label: str, values: Sequence[str], counts: Mapping[str, int]) -> Metric:
    """A counter for each value of a label."""
    counter = CounterMetricFamily(name, told, labels=[label])
    for value in values:
        counter.add_metric([value], counts.get(value, 0))
    return counter
