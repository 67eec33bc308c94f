"""Messages sorted into what they are: documents, worker events, and what is broken."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from wpb_stream.core.documents import Arrival, Document, Loss, Message, WorkerEvent, parse
from wpb_stream.core.exceptions import DocumentError


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be used, and why."""

    message: Message
    reason: str


@dataclass(frozen=True, slots=True)
class Intake:
    """What a number of messages turned out to be."""

    documents: list[Document] = field(default_factory=list[Document])
    worker_events: list[WorkerEvent] = field(default_factory=list[WorkerEvent])
    dead_letters: list[DeadLetter] = field(default_factory=list[DeadLetter])
    losses: list[Loss] = field(default_factory=list[Loss])
    positions: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    """(source, partition): the position after the last of these messages, the next one to ask for."""

    def positions_of(self, source: str) -> dict[str, int]:
        """For each partition of a source the next position to ask for."""
        return {partition: position for (name, partition), position in self.positions.items() if name == source}

    def tell(self, log: logging.Logger) -> None:
        """Log what is no document."""
        for loss in self.losses:
            log.error("%s", loss.reason)
        for letter in self.dead_letters:
            log.warning("%s position %d goes to the dead letters: %s", letter.message.partition, letter.message.position, letter.reason)
        for event in self.worker_events:
            log.debug("%s event: %s", event.kind, event.body)


def sort_out(messages: Iterable[Arrival]) -> Intake:
    """Decode, identify and validate messages; none is lost, whatever is in it."""
    intake = Intake()
    for message in messages:
        if isinstance(message, Loss):
            intake.positions[message.source, message.partition] = message.resumes_at
            intake.losses.append(message)
            continue
        intake.positions[message.source, message.partition] = message.position + 1
        try:
            found = parse(message.value)
        except DocumentError as error:
            intake.dead_letters.append(DeadLetter(message, str(error)))
            continue
        if isinstance(found, Document):
            intake.documents.append(found)
        else:
            intake.worker_events.append(found)
    return intake
