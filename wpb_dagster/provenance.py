"""What a Dagster run calls the revisions it makes, and by whom they are said to be made."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

TAG_PREFIX = "wpb/"
"""Of all tags of Dagster runs that are ours."""
_REVISION, _PRODUCED_BY = f"{TAG_PREFIX}revision", f"{TAG_PREFIX}produced_by"


def provenance_tags(revision: str, produced_by: str) -> Mapping[str, str]:
    """Tags of a run that makes a revision on behalf of another one: that one is named instead of it."""
    return {_REVISION: revision, _PRODUCED_BY: produced_by}


def revision_of(run: dg.DagsterRun) -> tuple[str, str]:
    """The name of the revision that this run makes, and who makes it."""
    return run.tags.get(_REVISION, run.run_id), run.tags.get(_PRODUCED_BY, f"dagster {run.run_id}")


def on_behalf(run: dg.DagsterRun) -> bool:
    """Whether what this run makes is another one's, who is named instead of it."""
    return _REVISION in run.tags
