"""The websocket feed's protocol ``wpb.v1``: what clients may ask, what they are told, and the binary layout of data.

Pure functions and types: the server, the Python client and the tests share them.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from wpb_stream.core.exceptions import ProtocolError
from wpb_stream.core.narrow import as_mapping

SUBPROTOCOL = "wpb.v1"
MAX_RATE = 60.0
"""Updates a second a client may ask for."""
MAX_ID = 2**53 - 1
"""Largest id of a request, either sign: what a browser's numbers hold exactly."""

CLOSE_RESTART, CLOSE_NOT_AUTHENTICATED, CLOSE_NOT_ALLOWED = 1012, 4401, 4403


# --- client to server -----------------------------------------------------------------------------------------------


class Authenticate(msgspec.Struct, tag="authenticate", tag_field="type", frozen=True):
    """Show a token, as the first message, where it cannot be in the handshake's headers; answered by the welcome."""

    token: str
    id: int | None = None

    def __repr__(self) -> str:
        return "Authenticate(token='***')"


class Subscribe(msgspec.Struct, tag="subscribe", tag_field="type", frozen=True):
    """Watch a run: its rows from ``from_row`` on, as they come."""

    id: int
    run: str
    channels: list[str] | None = None
    revision: str = "newest"
    from_row: int = 0
    max_rate: float = 20.0
    follow: bool = False
    """``revision`` is only where to go on from: where there is a newer one, that is meant. ``newest`` follows anyway."""


class Unsubscribe(msgspec.Struct, tag="unsubscribe", tag_field="type", frozen=True):
    """End the subscription of that id."""

    id: int


class ListRuns(msgspec.Struct, tag="list_runs", tag_field="type", frozen=True):
    """Page through the runs, newest first."""

    id: int
    limit: int = 50
    before: str | None = None
    plan_name: str | None = None
    status: str | None = None
    since: str | None = None
    until: str | None = None
    scan_id: int | None = None
    session: str | None = None
    """As the start document has it under one of :data:`SESSION_KEYS`."""
    text: str | None = None
    """Words, each of which a word or number in the run's metadata begins with; or the beginning of its uid."""


class GetFrame(msgspec.Struct, tag="get_frame", tag_field="type", frozen=True):
    """The detector's frame of one point, made smaller by whole blocks of pixels until it fits."""

    id: int
    run: str
    point: int
    data_key: str | None = None
    max_size: tuple[int, int] | None = None
    """Rows, columns; None for the frame as it is."""


class Reprocess(msgspec.Struct, tag="reprocess", tag_field="type", frozen=True):
    """Have a run that is over made again; needs a token with scope ``admin``."""

    id: int
    run: str
    recipe: dict[str, Any]
    """Counts over the ``wpb`` entry of the start document, key by key; empty to have it made as it says."""


class RunAgain(msgspec.Struct, tag="run_again", tag_field="type", frozen=True):
    """Have blueapi run the plan of a run once more; needs a token with scope ``admin``. Beyond the protocol's own requests."""

    id: int
    run: str
    begin: bool = False
    """Whether to do it, rather than tell what would be run."""


class Ping(msgspec.Struct, tag="ping", tag_field="type", frozen=True):
    """A sign of life is asked for."""

    id: int


Request = Authenticate | Subscribe | Unsubscribe | ListRuns | GetFrame | Reprocess | RunAgain | Ping
_REQUESTS: dict[str, type[Request]] = {
    "authenticate": Authenticate,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "list_runs": ListRuns,
    "get_frame": GetFrame,
    "reprocess": Reprocess,
    "run_again": RunAgain,
    "ping": Ping,
}


def parse_request(text: str | bytes) -> Request:
    """What a client asks.

    :raises ProtocolError: with code ``bad_message`` or ``unknown_type``
    """
    try:
        if isinstance(text, bytes):
            raise ProtocolError("bad_message", "Requests are text frames of JSON; binary frames come from the server only.")
        fields = as_mapping(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolError("bad_message", f"The message is no JSON: {error}.") from None
    wanted = fields.get("id")
    request_id = wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else None
    if request_id is not None and not -MAX_ID <= request_id <= MAX_ID:
        raise ProtocolError("bad_message", "An id is a whole number of at most 53 bits, which every client can hold.")
    if any(isinstance(value, str) and "\0" in value for value in fields.values()):
        raise ProtocolError("bad_message", "Text must not contain the character NUL.", request_id)  # PostgreSQL cannot hold it
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise ProtocolError("bad_message", "A message is a JSON object with a `type`, as a string.", request_id)
    if kind not in _REQUESTS:
        raise ProtocolError("unknown_type", f"Unknown type {kind[:40]!r}; known are {', '.join(_REQUESTS)}.", request_id)
    try:
        request = msgspec.convert(fields, _REQUESTS[kind])
    except msgspec.ValidationError as error:
        raise ProtocolError("bad_message", f"{kind}: {error}.", request_id) from None
    if isinstance(request, Subscribe) and (request.from_row < 0 or not 0 < request.max_rate <= MAX_RATE):
        raise ProtocolError("bad_message", f"subscribe: from_row must be 0 or more, max_rate above 0 and at most {MAX_RATE:g}.", request_id)
    if isinstance(request, GetFrame) and (request.point < 0 or min(request.max_size or (1,)) < 1):
        raise ProtocolError("bad_message", "get_frame: point must be 0 or more, and max_size [rows, columns] of 1 or more.", request_id)
    if isinstance(request, Reprocess) and b"\\u0000" in msgspec.json.encode(request.recipe):
        raise ProtocolError("bad_message", "reprocess: text in the recipe must not contain the character NUL.", request_id)
    if isinstance(request, ListRuns) and not 0 < request.limit <= 500:
        raise ProtocolError("bad_message", "list_runs: limit must be 1 to 500.", request_id)
    return request


# --- server to client, text -----------------------------------------------------------------------------------------


class AxisInfo(msgspec.Struct, frozen=True):
    """One dimension of a map."""

    name: str
    units: str | None
    start: float | None
    stop: float | None
    snaking: bool


class ChannelInfo(msgspec.Struct, frozen=True):
    """One channel of a run."""

    name: str
    label: str
    units: str
    colour: str | None
    region: dict[str, Any] | None


class MovingInfo(msgspec.Struct, frozen=True):
    """A motor on its way, as blueapi tells."""

    name: str
    current: float | None
    target: float
    units: str | None


class PlanInfo(msgspec.Struct, frozen=True):
    """The task of blueapi that a run is part of; beyond the protocol's own fields."""

    task: str
    state: str
    """Of blueapi's worker: ``RUNNING``, ``PAUSED``, ``IDLE``, ..."""
    failed: bool = False
    moving: list[MovingInfo] = []


class RunInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The run object of the protocol."""

    uid: str
    scan_id: int | None
    plan_name: str | None
    status: str
    started: str | None
    stopped: str | None
    recipe: str | None
    shape: list[int]
    axes: list[AxisInfo]
    channels: list[ChannelInfo]
    arrays: list[str]
    points_expected: int | None
    rows: int
    metadata: dict[str, Any]
    plan: PlanInfo | None = None
    """Left out for runs that do not come from blueapi."""


class Welcome(msgspec.Struct, tag="welcome", tag_field="type", frozen=True):
    """The server's first message."""

    server: str
    session: str
    time: str
    latest: str | None
    protocol: str = SUBPROTOCOL
    scopes: list[str] = []
    """What the client may do: ``watch``, ``admin``; beyond the protocol's own fields."""
    dagster: str | None = None
    """Dagster's web server, for links to its pages; null where none is known. Beyond the protocol's own fields."""
    blueapi: bool = False
    """Whether plans can be run again. Beyond the protocol's own fields."""


class RunMessage(msgspec.Struct, tag="run", tag_field="type", frozen=True):
    """The run a subscription watches from here on."""

    id: int
    run: RunInfo
    revision: str
    from_row: int


class RunsMessage(msgspec.Struct, tag="runs", tag_field="type", frozen=True):
    """A page of runs, newest first."""

    id: int
    runs: list[RunInfo]
    before: str | None


class RunStopped(msgspec.Struct, tag="run_stopped", tag_field="type", frozen=True):
    """The run is over and all its rows were sent."""

    id: int
    run: str
    exit_status: str
    reason: str
    rows: int


class Revised(msgspec.Struct, tag="revised", tag_field="type", frozen=True):
    """Another revision takes over; its rows follow from 0."""

    id: int
    run: str
    revision: str
    produced_by: str


class Unsubscribed(msgspec.Struct, tag="unsubscribed", tag_field="type", frozen=True):
    """The subscription is over."""

    id: int


class Reprocessing(msgspec.Struct, tag="reprocessing", tag_field="type", frozen=True):
    """The run is being made again; ``revised`` tells whoever watches it of the new revision once it is there."""

    id: int
    run: str
    dagster_run: str
    """Id of the Dagster run that does it."""
    link: str
    """Its page in Dagster."""


class TaskMessage(msgspec.Struct, tag="task", tag_field="type", frozen=True):
    """What blueapi is to run, or runs now, for whoever asked for a run once more. Beyond the protocol's own messages."""

    id: int
    run: str
    plan: str
    params: dict[str, Any]
    task: str | None
    """Id of the task that was begun; null if it was only asked what would be."""


class Pong(msgspec.Struct, tag="pong", tag_field="type", frozen=True):
    """A sign of life."""

    id: int
    time: str


class ErrorMessage(msgspec.Struct, tag="error", tag_field="type", frozen=True):
    """A request that could not be served, and why."""

    id: int | None
    code: str
    message: str


class NoticeMessage(msgspec.Struct, tag="notice", tag_field="type", frozen=True):
    """The run goes on, but something was lost or guessed."""

    id: int
    code: str
    message: str


Reply = (
    Welcome
    | RunMessage
    | RunsMessage
    | RunStopped
    | Revised
    | Reprocessing
    | TaskMessage
    | Unsubscribed
    | Pong
    | ErrorMessage
    | NoticeMessage
)
_reply_decoder = msgspec.json.Decoder(Reply)


def encode_reply(reply: Reply) -> str:
    """A control message as JSON; NaN and infinities, which JSON lacks, become null."""
    return msgspec.json.encode(reply).decode()


def parse_reply(text: str) -> Reply:
    """The control message a server sent; fields this version does not know are ignored.

    :raises ProtocolError: it is none
    """
    try:
        return _reply_decoder.decode(text)
    except msgspec.DecodeError as error:
        raise ProtocolError("bad_message", f"not a message of {SUBPROTOCOL}: {error}") from None


def without_large_values(start: dict[str, Any], max_bytes: int = 4096, max_total: int = 65_536) -> dict[str, Any]:
    """A start document for the run object: values longer than ``max_bytes`` of JSON are left out, and what exceeds ``max_total`` in all."""
    kept: dict[str, Any] = {}
    total = 0
    for key, value in start.items():
        size = len(json.dumps(value, default=str))
        if size <= max_bytes and total + size + len(key) <= max_total:
            kept[key] = value
            total += size + len(key)
    return kept
