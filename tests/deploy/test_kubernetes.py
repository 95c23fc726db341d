"""The Kubernetes manifests, as kustomize builds them and as the schemas of its versions want them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml

from tests.deploy.kit import DEPLOY, DRAIN_LIMIT_S, run, strangers, tool
from voiceagent.settings import load_settings

FOLDER = DEPLOY / "kubernetes"


@cache
def built() -> list[dict[str, Any]]:
    kubectl = tool("kubectl", "kubernetes-client")
    text = run(kubectl, "kustomize", str(FOLDER / "example"))
    return [one for one in yaml.safe_load_all(text) if one]


def single(kind: str) -> dict[str, Any]:
    (one,) = (one for one in built() if one["kind"] == kind)
    return one


def base_documents() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "base" / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    texts = ((FOLDER / "base" / name).read_text(encoding="utf-8") for name in listed)
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


@pytest.mark.parametrize("version", ["1.29", "1.32", "1.36"])
def test_the_schemas_take_every_manifest(version: str) -> None:
    import kubernetes_validate

    for one in built():
        kubernetes_validate.validate(one, version, strict=True)


def test_a_pod_may_finish_its_calls() -> None:
    pod = single("StatefulSet")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= DRAIN_LIMIT_S + 60
    assert single("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    shrink = single("HorizontalPodAutoscaler")["spec"]["behavior"]["scaleDown"]
    assert shrink["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_a_pod_tells_its_own_address_and_has_ports_of_its_own() -> None:
    pod = single("StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    fields = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in container["env"]}
    assert pod["hostNetwork"]
    assert fields["VOICEAGENT_SIP__HOST"] == "status.podIP"
    assert fields["VOICEAGENT_CLUSTER__NODE"] == "metadata.name"
    assert not strangers(fields)
    (script,) = container["args"]
    assert "media.port_low=$low" in script


def test_a_pod_is_nobody_and_can_write_its_state_only() -> None:
    pod = single("StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert f"USER {pod['securityContext']['runAsUser']}\n" in (DEPLOY / "Containerfile").read_text("utf-8")
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_every_pod_can_be_named_while_it_drains() -> None:
    names = {one["metadata"]["name"]: one["spec"] for one in built() if one["kind"] == "Service"}
    assert names[single("StatefulSet")["spec"]["serviceName"]]["publishNotReadyAddresses"]


def test_the_shared_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = next(one for one in built() if one["kind"] == "Secret")
    assert not strangers(secret["data"])
    monkeypatch.setenv("VOICEAGENT_CONSOLE__HOST", "10.1.2.3")
    settings = load_settings(FOLDER / "base" / "voiceagent.toml", {"sip.host": "10.1.2.3"})
    assert settings.call.drain_limit_s == DRAIN_LIMIT_S


def test_what_is_built_is_what_stands_there() -> None:
    assert {one["kind"] for one in base_documents()} | {"ConfigMap", "Secret"} == {
        one["kind"] for one in built()
    }
