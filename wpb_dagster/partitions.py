"""One partition a run."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

run_partitions = dg.DynamicPartitionsDefinition(name="run")
"""Key: the run's uid, as its start document has it. It is a stranger's text: never a path without ``safe_name``."""


def add_runs(instance: dg.DagsterInstance, uids: Sequence[str]) -> None:
    """Make partitions for these runs, all at once; those that exist stay."""
    if uids:
        instance.add_dynamic_partitions("run", list(uids))
