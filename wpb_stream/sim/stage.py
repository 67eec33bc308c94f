"""The stage: two motors that are where they were sent at once, or after a settling time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cached_property

from ophyd_async.core import (
    MovableLogic,
    SignalRW,
    StandardMovable,
    StandardReadable,
    TimeoutCalculator,
    soft_signal_r_and_setter,
    soft_signal_rw,
)
from ophyd_async.core import StandardReadableFormat as Format


@dataclass
class _Settling(MovableLogic[float]):
    """Moves by waiting for the settling time."""

    motor: Motor
    settle_time: SignalRW[float]

    async def move(self, new_position: float, timeout: TimeoutCalculator) -> None:
        await self.setpoint.set(new_position)
        settle_time_s = await self.settle_time.get_value()
        if settle_time_s > 0:
            await asyncio.sleep(settle_time_s)
        self.motor.arrive(new_position)


class Motor(StandardReadable, StandardMovable[float]):
    """A motor in millimetres."""

    def __init__(self, settle_time_s: float = 0.0, name: str = "") -> None:
        with self.add_children_as_readables(Format.HINTED_SIGNAL):
            self.readback, self._set_readback = soft_signal_r_and_setter(float, 0.0, units="mm", precision=4)
        with self.add_children_as_readables(Format.CONFIG_SIGNAL):
            self.settle_time = soft_signal_rw(float, settle_time_s, units="s")
        self.setpoint = soft_signal_rw(float, 0.0, units="mm", precision=4)
        self.position_mm = 0.0
        """Where the motor is; the same as the readback, for those outside the event loop."""
        super().__init__(name=name)

    @cached_property
    def movable_logic(self) -> _Settling:
        """How this motor moves."""
        return _Settling(setpoint=self.setpoint, readback=self.readback, motor=self, settle_time=self.settle_time)

    def arrive(self, position_mm: float) -> None:
        """Be at ``position_mm``."""
        self.position_mm = float(position_mm)
        self._set_readback(self.position_mm)


class Stage(StandardReadable):
    """The x-y stage that carries the sample; ``x`` runs across, ``y`` down."""

    def __init__(self, settle_time_s: float = 0.0, name: str = "") -> None:
        with self.add_children_as_readables():
            self.x = Motor(settle_time_s)
            self.y = Motor(settle_time_s)
        super().__init__(name=name)


@dataclass(frozen=True, slots=True)
class Field:
    """The rectangle of the sample that a scan covers, centred on the stage's origin."""

    width_mm: float
    height_mm: float

    @property
    def x(self) -> tuple[float, float]:
        """First and last position across, in mm."""
        return -self.width_mm / 2, self.width_mm / 2

    @property
    def y(self) -> tuple[float, float]:
        """First and last position down, in mm."""
        return -self.height_mm / 2, self.height_mm / 2

    def normalised(self, stage: Stage) -> tuple[float, float]:
        """Where the stage is in the field: ``u, v`` in 0..1; the middle of a field without extent."""
        u = stage.x.position_mm / self.width_mm + 0.5 if self.width_mm else 0.5
        v = stage.y.position_mm / self.height_mm + 0.5 if self.height_mm else 0.5
        return u, v
