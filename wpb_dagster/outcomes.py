"""What became of the steps that a Dagster run has behind it."""

from __future__ import annotations

import dagster as dg


class Outcomes(dg.ConfigurableResource):  # pyright: ignore[reportMissingTypeArgument]
    """The steps so far, as Dagster's event log has them; without Dagster's engine :mod:`wpb_dagster.direct` knows them itself."""

    runs_looked_at: int = 10
    """Dagster runs of a scan, the newest first, in which its checks are looked for."""

    def evaluations(self, context: dg.AssetExecutionContext) -> list[dg.AssetCheckEvaluation]:
        """The checks of a scan: those of this Dagster run, or if it made none, of the last one that did."""
        before = context.instance.get_run_records(
            dg.RunsFilter(tags={"dagster/partition": context.partition_key}), limit=self.runs_looked_at
        )
        for candidate in dict.fromkeys([context.run.run_id, *(record.dagster_run.run_id for record in before)]):
            records = context.instance.get_records_for_run(candidate, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
            events = [record.event_log_entry.dagster_event for record in records]
            if events:
                return [event.asset_check_evaluation_data for event in events if event]
        return []

    def failed(self, context: dg.AssetExecutionContext) -> bool:
        """Whether something could not be made in this Dagster run."""
        return bool(context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE))
