"""One connection to a STOMP broker: login, heartbeats both ways, frames. It ends with the first thing that goes wrong."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from wpb_stream.core.exceptions import ServiceError
from wpb_stream.sources.stomp_frames import Frame, FrameReader
from wpb_stream.sources.stomp_settings import StompAddress, StompOptions

CONNECT_S = 10.0
"""How long connecting may take, and then the login."""
CLOSE_S = 1.0
"""How long what we still have to say may take when we leave."""
READ_BYTES = 2**18
"""Read at a time at most."""
MAX_TOLD = 300
"""Characters of a broker's complaint that are repeated."""


class StompConnection:
    """A login at a broker. Made by `open`; `close` it, whatever happened.

    Nothing here waits for the broker to take what is sent: acknowledgements are bounded by the prefetch.
    """

    def __init__(self, where: str, passcode: str | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = "a broker that does not say its name"
        """What the broker says it is, such as ``RabbitMQ/3.10.8``."""
        self._where, self._passcode, self._reader, self._writer = where, passcode, reader, writer
        self._frames = FrameReader()
        self._silence_s: float | None = CONNECT_S
        self._beat_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(cls, address: StompAddress, options: StompOptions, *, client_id: str | None = None) -> Self:
        """Connect and log in.

        :param client_id: what ActiveMQ keeps durable subscriptions under; it lets each be used by one connection only
        :raises ServiceError: the broker is away, speaks no STOMP, or refuses us
        """
        login = options.login()
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(address.host, address.port, ssl=options.tls, limit=READ_BYTES)
        except (OSError, UnicodeError) as error:
            reason = str(error) or f"no answer within {CONNECT_S:g} s"
            raise ServiceError(f"STOMP at {address} cannot be reached ({reason}); check WPB_SOURCES") from error
        self = cls(str(address), login.get("passcode"), reader, writer)
        try:
            await self._log_in(login, options, client_id)
        except BaseException:  # cancelled, perhaps: nobody would close what was never handed out
            await self.close()
            raise
        return self

    async def _log_in(self, login: dict[str, str], options: StompOptions, client_id: str | None) -> None:
        beat_ms = round(options.heartbeat_s * 1000)
        headers = {"accept-version": "1.2", "heart-beat": f"{beat_ms},{beat_ms}", **login}
        if options.vhost is not None:  # without it each broker takes its default, as it does for blueapi
            headers["host"] = options.vhost
        if client_id is not None:
            headers["client-id"] = client_id
        self.send(Frame("CONNECT", headers))
        while not (frames := await self.receive()):
            continue
        if frames[0].command == "ERROR":
            hint = "check username, password, vhost and subscription in WPB_STOMP_OPTIONS"
            raise ServiceError(f"STOMP at {self._where} refuses us ({self.complaint(frames[0])}); {hint}")
        if frames[0].command != "CONNECTED" or frames[0].headers.get("version") != "1.2":
            raise ServiceError(f"STOMP at {self._where} does not speak STOMP 1.2; check WPB_SOURCES")
        self.server = frames[0].headers.get("server", self.server)
        self._agree(beat_ms, frames[0].headers.get("heart-beat", "0,0"))

    def _agree(self, beat_ms: int, offered: str) -> None:
        """Take up the heartbeats: each side beats as often as both can and want."""
        try:
            they_send_ms, they_want_ms = map(int, offered.split(","))
        except ValueError:
            raise ServiceError(f"STOMP at {self._where} offers the heartbeat {offered[:40]!r}; that is no STOMP 1.2") from None
        # Both with room for a late one: it is sent twice as often as agreed, and missed after twice the time.
        self._silence_s = 2 * max(beat_ms, they_send_ms) / 1000 if they_send_ms else None
        self._beat_s = max(beat_ms, they_want_ms) / 2000 if they_want_ms else 0.0
        self._beat()

    def _beat(self) -> None:
        if self._beat_s and not self._writer.transport.is_closing():
            self._writer.write(b"\n")
            self._timer = asyncio.get_running_loop().call_later(self._beat_s, self._beat)

    def send(self, *frames: Frame) -> None:
        """Send frames. Raises nothing: that the broker is gone is told by `receive`."""
        if not self._writer.transport.is_closing():
            self._writer.write(b"".join(frame.encode() for frame in frames))

    async def receive(self) -> list[Frame]:
        """What comes next; nothing where it was a heartbeat or a part of a frame.

        :raises ServiceError: the broker closed the connection, does not answer any more, or speaks no STOMP
        """
        try:
            async with asyncio.timeout(self._silence_s):
                data = await self._reader.read(READ_BYTES)
            if not data:
                raise ServiceError(f"STOMP at {self._where} closed the connection")
            return list(self._frames.feed(data))
        except TimeoutError as error:
            raise ServiceError(f"STOMP at {self._where} does not answer: not a sign of life for {self._silence_s:g} s") from error
        except OSError as error:
            raise ServiceError(f"STOMP at {self._where} went away ({error})") from error
        except ValueError as error:
            raise ServiceError(f"STOMP at {self._where} speaks no STOMP that is understood ({error}); check WPB_SOURCES") from error

    def complaint(self, error: Frame) -> str:
        """What the broker says in an ERROR frame, in one line and without our password."""
        title, detail = error.headers.get("message", ""), next(iter(error.body.decode(errors="replace").splitlines()), "")
        text = detail if title in detail else f"{title}: {detail}".removesuffix(": ")
        if self._passcode:
            text = text.replace(self._passcode, "***")
        return "".join(character for character in text if character.isprintable())[:MAX_TOLD] or "it does not say why"

    async def close(self) -> None:
        """Leave; what was sent before still goes out, if the broker takes it in time."""
        if self._timer is not None:
            self._timer.cancel()
        self.send(Frame("DISCONNECT"))
        self._writer.close()
        try:
            with suppress(OSError):  # TimeoutError is one
                async with asyncio.timeout(CLOSE_S):
                    await self._writer.wait_closed()
        finally:
            self._writer.transport.abort()
