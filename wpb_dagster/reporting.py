"""What was made of many runs, written into Dagster's event log in batches, while others are being made.

One by one each materialisation costs three transactions, which is 0.2 to 0.4 s a run: more than it takes to make one of some hundred
small frames again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from graphlib import TopologicalSorter
from typing import Self

import dagster as dg
from dagster._core.definitions.data_version import INPUT_DATA_VERSION_TAG_PREFIX, INPUT_EVENT_POINTER_TAG_PREFIX
from dagster._core.events import StepMaterializationData
from dagster._core.instance import RUNLESS_JOB_NAME, RUNLESS_RUN_ID

MOST_WAITING = 1000
"""Materialisations: with more of them the next run waits until they are written."""


class Reporter:
    """Writes down materialisations. The first are written at once, then those that came meanwhile, all of one asset together.

    Use it as a context manager: it ends when all are written.

    :param run_id: the Dagster run that made them; by default none did, and then they have neither job nor step
    """

    def __init__(
        self, instance: dg.DagsterInstance, run_id: str = RUNLESS_RUN_ID, job_name: str = RUNLESS_JOB_NAME, step_key: str | None = None
    ) -> None:
        self._log = instance.event_log_storage
        self._run_id, self._job_name, self._step_key = run_id, job_name, step_key
        self._waiting: list[dg.AssetMaterialization] = []
        self._thread = ThreadPoolExecutor(1, "reporter")
        self._writing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._thread:
            self._wait()
            self._write(self._waiting)

    def add(self, made: Iterable[dg.AssetMaterialization]) -> None:
        """Have these written.

        :raises Exception: those before could not be
        """
        self._waiting += made
        if self._writing is None or self._writing.done() or len(self._waiting) > MOST_WAITING:
            self._wait()
            batch, self._waiting = self._waiting, []
            self._writing = self._thread.submit(self._write, batch)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def _write(self, batch: Sequence[dg.AssetMaterialization]) -> None:
        if not batch:
            return
        # Dagster tells an asset to be stale by what was written of its inputs after this number.
        before = self._log.get_maximum_record_id()
        after: dict[str, int | None] = {}
        by_asset: dict[str, list[dg.AssetMaterialization]] = {}
        for each in batch:
            by_asset.setdefault(each.asset_key.to_user_string(), []).append(each)
        inputs = {asset: {name for each in made for name in _inputs(each)} for asset, made in by_asset.items()}
        for asset in TopologicalSorter(inputs).static_order():
            if asset in by_asset:
                pointers = {f"{INPUT_EVENT_POINTER_TAG_PREFIX}/{name}": str(after.get(name, before)) for name in inputs[asset]}
                self._log.store_event_batch([self._entry(each, pointers) for each in by_asset[asset]])
                after[asset] = self._log.get_maximum_record_id()

    def _entry(self, made: dg.AssetMaterialization, pointers: Mapping[str, str]) -> dg.EventLogEntry:
        pointed = dg.AssetMaterialization(
            made.asset_key, partition=made.partition, metadata=made.metadata, tags={**(made.tags or {}), **pointers}
        )
        event = dg.DagsterEvent(
            dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            self._job_name,
            step_key=self._step_key,
            event_specific_data=StepMaterializationData(pointed),
            message="Materialized value.",
        )
        return dg.EventLogEntry(
            error_info=None,
            level=logging.DEBUG,
            user_message="",
            run_id=self._run_id,
            timestamp=time.time(),
            step_key=self._step_key,
            job_name=self._job_name,
            dagster_event=event,
        )


def _inputs(made: dg.AssetMaterialization) -> list[str]:
    """Names of the assets that an asset was made of."""
    prefix = f"{INPUT_DATA_VERSION_TAG_PREFIX}/"
    return [tag.removeprefix(prefix) for tag in made.tags or {} if tag.startswith(prefix)]
