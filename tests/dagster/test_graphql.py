"""What Dagster's pages ask its web server about a scan, of a real server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from tests.dagster.scans import Beamline, random_frames
from tests.dagster.test_definitions import MADE_AT_THE_END
from tests.dagster.test_run import acquired

pytestmark = pytest.mark.integration

GRAPH = """{ assetNodes { assetKey { path } groupName kinds isPartitioned owners { ... on TeamAssetOwner { team } }
    dependencyKeys { path } assetChecksOrError { ... on AssetChecks { checks { name } } } } }"""
PARTITION = """query ($key: AssetKeyInput!, $uid: String!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    partitionKeys staleStatus(partition: $uid)
    assetMaterializations(partitions: [$uid], limit: 1) { runId tags { key value } metadataEntries { label
        ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr } ... on UrlMetadataEntry { url }
        ... on PathMetadataEntry { path } ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue }
        ... on TableMetadataEntry { table { records } } } } } } }"""
CHECKS = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization { status
        evaluation { success severity description
        metadataEntries { label ... on TextMetadataEntry { text } } } } } } } } } }"""
RUNS = """query ($tags: [ExecutionTag!]) {
    runsOrError(filter: {tags: $tags}) { ... on Runs { results { runId status tags { key value } } } } }"""
LOCATION = """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename
    ... on RepositoryLocation { repositories { sensors { name } jobs { name } } } ... on PythonError { message } } } } } }"""


def ask(address: str, query: str, **variables: Any) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def test_the_pages_of_a_scan_have_its_lineage_its_picture_its_summary_and_its_checks(
    beamline: Beamline, materialise: Callable[[str], dg.ExecuteInProcessResult], webserver: str
) -> None:
    uid = acquired(beamline, random_frames(18), data_session="cm1")[0].doc["uid"]  # two are missing
    run = materialise(uid)

    (location,) = ask(webserver, LOCATION)["workspaceOrError"]["locationEntries"]
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation", location

    nodes = {node["assetKey"]["path"][-1]: node for node in ask(webserver, GRAPH)["assetNodes"]}
    assert set(nodes) == {"run_start", *MADE_AT_THE_END}
    assert all(node["isPartitioned"] and node["kinds"] and node["owners"] == [{"team": "beamline"}] for node in nodes.values())
    assert [key["path"] for key in nodes["maps"]["dependencyKeys"]] == [["point_values"]]
    checks = {name: {each["name"] for each in node["assetChecksOrError"].get("checks", [])} for name, node in nodes.items()}
    assert checks["maps"] == {"live_equals_batch", "map_complete"}

    def page(asset: str) -> tuple[dict[str, Any], dict[str, Any]]:
        node = ask(webserver, PARTITION, key={"path": [asset]}, uid=uid)["assetNodeOrError"]
        (materialisation,) = node["assetMaterializations"]
        assert materialisation["runId"] == run.run_id
        return node, {entry["label"]: entry for entry in materialisation["metadataEntries"]}

    node, preview = page("preview")
    assert node["partitionKeys"] == [uid]
    assert preview["preview (kept here)"]["mdStr"].startswith("![preview](data:image/png;base64,")
    _, maps = page("maps")
    assert maps["frames missing"]["intValue"] == 2
    assert json.loads(maps["maps"]["table"]["records"][3])["channel"] == "total"
    _, summary = page("summary")
    assert "Frames: 18 of 20, **2 missing**" in summary["summary"]["mdStr"]

    made = ask(webserver, CHECKS, key={"path": ["maps"]})["assetNodeOrError"]["assetChecksOrError"]["checks"]
    evaluations = {each["name"]: each["executionForLatestMaterialization"]["evaluation"] for each in made}
    assert evaluations["live_equals_batch"]["success"]
    assert (evaluations["map_complete"]["success"], evaluations["map_complete"]["severity"]) == (False, "ERROR")
    assert "see the check all_frames_found" in evaluations["map_complete"]["description"]

    for tags in ([{"key": "wpb/scan_id", "value": "7"}], [{"key": "wpb/data_session", "value": "cm1"}]):
        (found,) = ask(webserver, RUNS, tags=tags)["runsOrError"]["results"]
        assert found["runId"] == run.run_id
    assert ask(webserver, RUNS, tags=[{"key": "wpb/scan_id", "value": "8"}])["runsOrError"]["results"] == []
