"""An asset job without Dagster's engine: its assets and checks called one after the other, here and now, for one partition.

The engine takes nine tenths of a second of processor time for a run of a few hundred points, ten times what wpb's own work takes: for
the events it stores, and the versions it asks its storage for. Dagster's own direct invocation (``dg.build_asset_context``) knows neither
the run nor, in a check, the partition, and makes the resources anew for each call.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from hashlib import sha256
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    compute_logical_data_version,
    get_input_data_version_tag,
)
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction

_log = logging.getLogger(__name__)
_PRIORITY = "dagster/priority"


@dataclass(frozen=True, slots=True)
class Step:
    """An asset, or a check, of a job."""

    name: str
    """As Dagster calls it in what it logs."""
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    inputs: Mapping[str, dg.AssetKey]
    """The assets it is made of, by the name of the argument; those it only has to wait for have no such argument."""
    target: dg.AssetKey | dg.AssetCheckKey
    io_manager: str
    """Name of the resource that keeps what is made; nothing is kept where there is none of that name."""
    code_version: str | None


@dataclass(slots=True)
class Walk:
    """What became of the steps so far."""

    materializations: list[dg.AssetMaterialization] = field(default_factory=list[dg.AssetMaterialization])
    """In the order they were made. Tagged with what Dagster tells staleness by, but for pointers into its event log."""
    checks: list[dg.AssetCheckEvaluation] = field(default_factory=list[dg.AssetCheckEvaluation])
    failures: list[tuple[str, Exception]] = field(default_factory=list[tuple[str, Exception]])
    """Steps that raised, and what. Whatever needs what they should have made was not tried."""

    def evaluations(self, _: object) -> list[dg.AssetCheckEvaluation]:
        """As :class:`wpb_dagster.outcomes.Outcomes` has it."""
        return self.checks

    def failed(self, _: object) -> bool:
        """As :class:`wpb_dagster.outcomes.Outcomes` has it."""
        return bool(self.failures)


@dataclass(slots=True)
class _Context:
    """What assets, checks and IO managers ask of the contexts that Dagster gives them."""

    partition_key: str
    run: dg.DagsterRun
    asset_key: dg.AssetKey | dg.AssetCheckKey
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    log: logging.Logger = _log
    has_partition_key: bool = True

    @property
    def op_execution_context(self) -> _Context:
        return self

    def add_output_metadata(self, metadata: Mapping[str, Any]) -> None:
        self.metadata |= metadata


@dataclass(frozen=True, slots=True)
class _Made:
    value: Any
    version: dg.DataVersion
    """As the engine has it in what is made of this: of the one partition that goes into it a digest of its own."""


def steps_of(job: dg.JobDefinition) -> list[Step]:
    """The steps of an asset job in the order in which Dagster's engine takes them in one process: by priority, then as they could begin."""
    definitions = [each for each in job.asset_layer.asset_graph.assets_defs if each.is_executable]
    made_by = {key: each.op.name for each in definitions for key in each.keys}
    by_name = {each.op.name: each for each in definitions}
    sorter = TopologicalSorter(
        {name: [made_by[key] for key in each.keys_by_input_name.values() if key in made_by] for name, each in by_name.items()}
    )
    sorter.prepare()
    ready, steps = sorted(sorter.get_ready()), list[Step]()
    while ready:
        ready.sort(key=lambda name: -int(by_name[name].op.tags.get(_PRIORITY, 0)))
        name = ready.pop(0)
        steps.append(_step_of(by_name[name]))
        sorter.done(name)
        ready += sorted(sorter.get_ready())
    return steps


def walk(steps: Sequence[Step], partition_key: str, run: dg.DagsterRun, resources: Mapping[str, Any]) -> Walk:
    """Make all assets of a partition and evaluate their checks; what fails stops nothing but what needs it.

    :param steps: as :func:`steps_of` gives them
    :param run: what assets are told of the Dagster run; it need not be in any instance
    :param resources: by name, ready to be used; `outcomes` is the walk itself
    """
    walked, made = Walk(), dict[dg.AssetKey, _Made]()
    resources = {**resources, "outcomes": walked}
    targets = {step.target for step in steps}
    for step in steps:
        if any(key in targets and key not in made for key in step.inputs.values()):
            continue
        context = _Context(partition_key, run, step.target)
        try:
            for result in _results(step, context, made, resources):
                if isinstance(result, dg.AssetCheckResult):
                    walked.checks.append(_evaluation(step, result))
                else:
                    materialization = _materialization(step, result, context, made, resources.get(step.io_manager))
                    walked.materializations.append(materialization)
        except Exception as error:
            walked.failures.append((step.name, error))
    return walked


def _step_of(definition: dg.AssetsDefinition) -> Step:
    (target,) = [*definition.keys, *definition.check_keys]
    (output,) = definition.op.output_defs
    compute = definition.op.compute_fn
    assert isinstance(compute, DecoratedOpFunction)
    return Step(
        definition.op.name,
        compute.decorated_fn,
        tuple(inspect.signature(compute.decorated_fn).parameters),
        definition.keys_by_input_name,
        target,
        output.io_manager_key,
        next((spec.code_version for spec in definition.specs), None),
    )


def _results(step: Step, context: _Context, made: Mapping[dg.AssetKey, _Made], resources: Mapping[str, Any]) -> Iterable[Any]:
    """What a step gives: one result, or those that a generator yields, which are none where it is skipped."""
    given: dict[str, Any] = {"context": context, **resources}
    result = step.function(**{name: given[name] if name in given else made[step.inputs[name]].value for name in step.arguments})
    return [result] if isinstance(result, dg.MaterializeResult | dg.AssetCheckResult) else result


def _materialization(
    step: Step, result: dg.MaterializeResult[Any], context: _Context, made: dict[dg.AssetKey, _Made], io_manager: Any
) -> dg.AssetMaterialization:
    """Keep what was made, and tell of it as the engine does."""
    assert isinstance(step.target, dg.AssetKey)
    if io_manager is not None:
        io_manager.handle_output(context, result.value)
    code_version = step.code_version or context.run.run_id
    inputs = {key: made[key].version if key in made else DEFAULT_DATA_VERSION for key in step.inputs.values()}
    version = result.data_version or compute_logical_data_version(code_version, inputs)
    made[step.target] = _Made(result.value, dg.DataVersion(sha256(version.value.encode()).hexdigest()))
    tags = {CODE_VERSION_TAG: code_version, DATA_VERSION_TAG: version.value}
    tags |= {get_input_data_version_tag(key): each.value for key, each in inputs.items()}
    tags |= {DATA_VERSION_IS_USER_PROVIDED_TAG: "true"} if result.data_version else {}
    return dg.AssetMaterialization(
        step.target,
        partition=context.partition_key,
        metadata={**(result.metadata or {}), **context.metadata},
        tags={**tags, **(result.tags or {})},
    )


def _evaluation(step: Step, result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    assert isinstance(step.target, dg.AssetCheckKey)
    return dg.AssetCheckEvaluation(
        asset_key=step.target.asset_key,
        check_name=step.target.name,
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        description=result.description,
    )
