"""Every operation of the control plane: its route, its strictness, and the fields of responses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from daytona_api_client import ApiClient
from daytona_api_client import ConfigApi
from daytona_api_client import Configuration
from daytona_api_client import SandboxApi
from daytona_api_client.models.daytona_configuration import DaytonaConfiguration
from daytona_api_client.models.list_sandboxes_response import ListSandboxesResponse
from daytona_api_client.models.sandbox import Sandbox
from daytona_api_client.models.sandbox_list_item import SandboxListItem
from toolbox_fleet.models import listed
from toolbox_fleet.models import sandboxes

from toolbox.testing import TOKEN
from toolbox.testing import Service

ONE = "/api/sandbox/any-id"

OPERATIONS = f"""
GET /api/config
GET /api/object-storage/push-access
POST /api/sandbox
GET /api/sandbox
GET /api/sandbox/paginated
GET /api/sandbox/ssh-access/validate?token=x
GET {ONE}
DELETE {ONE}
POST {ONE}/archive
POST {ONE}/autoarchive/1
POST {ONE}/autodelete/-1
POST {ONE}/autopause/0
POST {ONE}/autostop/0
GET {ONE}/build-logs-url
POST {ONE}/fork
PUT {ONE}/labels
POST {ONE}/network-settings
POST {ONE}/pause
GET {ONE}/ports/80/preview-url
GET {ONE}/ports/80/signed-preview-url
POST {ONE}/ports/80/signed-preview-url/token/expire
POST {ONE}/public/false
POST {ONE}/recover
POST {ONE}/resize
PUT {ONE}/secrets
POST {ONE}/snapshot
POST {ONE}/ssh-access
DELETE {ONE}/ssh-access
POST {ONE}/start
POST {ONE}/stop
POST {ONE}/ttl/0
POST {ONE}/last-activity
GET {ONE}/signing-key
POST {ONE}/signing-key/rotate
GET {ONE}/telemetry/metrics?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z
GET {ONE}/toolbox-proxy-url
POST /api/secret
GET /api/secret/paginated
GET /api/secret/id
PATCH /api/secret/id
DELETE /api/secret/id
GET /api/snapshots
POST /api/snapshots
GET /api/snapshots/id
GET /api/snapshots/id/build-logs-url
POST /api/snapshots/id/activate
DELETE /api/snapshots/id
GET /api/volumes
POST /api/volumes
GET /api/volumes/by-name/name
DELETE /api/volumes/id
GET /api/warm-pools
POST /api/warm-pools
PATCH /api/warm-pools/id
DELETE /api/warm-pools/id
""".split("\n")[1:-1]

# Of the fields that the client knows, those that are never sent, and why.
NEVER_SENT = {
    "backupState": "there are no backups",
    "backupCreatedAt": "there are no backups",
    "buildInfo": "the snapshot that was built is named instead",
    "gpuType": "there are no kinds of GPUs",
    "otelEndpointOverride": "no telemetry leaves a sandbox by itself",
    "outboundProxyUrl": "the variables of the environment that set one are in env",
    "queueTimedOutAt": "no sandbox waits in a queue: the limit of sandboxes is an error at once",
    "queueTimeout": "no sandbox waits in a queue",
    "runnerId": "there is one machine",
    "spot": "no sandbox is taken away for another",
    "spotEvictedAt": "no sandbox is taken away for another",
}


def _words(text: str) -> set[str]:
    return set(text.split())


# What strict clients of Go knew (toolbox.http.client_versions), by the models of those versions.
KNOWN: dict[str, set[str]] = {
    "0.143.0": _words(
        """
    id organizationId name snapshot user env labels public networkBlockAll networkAllowList
    target cpu gpu memory disk state desiredState errorReason recoverable backupState
    backupCreatedAt autoStopInterval autoArchiveInterval autoDeleteInterval volumes buildInfo
    createdAt updatedAt class daemonVersion runnerId
    """
    )
}
KNOWN["0.148.0"] = KNOWN["0.143.0"] | {"toolboxProxyUrl"}
KNOWN["0.169.0"] = KNOWN["0.148.0"] | {"lastActivityAt"}
KNOWN["0.187.0"] = KNOWN["0.169.0"] | {"gpuType", "sandboxClass", "linkedSandboxId"}

LISTED_187 = _words(
    """
    id organizationId name target runnerId sandboxClass state desiredState snapshot user
    errorReason recoverable public cpu gpu memory disk labels backupState autoStopInterval
    autoArchiveInterval autoDeleteInterval createdAt updatedAt lastActivityAt daemonVersion
    toolboxProxyUrl gpuType
    """
)


def api_client(service: Service) -> ApiClient:
    configuration = Configuration(host=f"{service.url}/api")
    return ApiClient(configuration, "Authorization", f"Bearer {TOKEN}")


def names(struct: Any) -> set[str]:
    return set(struct.__struct_encode_fields__)


def check_envelope(response: Any) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert body["statusCode"] == response.status_code
    assert body["message"] and body["path"] and body["timestamp"]
    return body


@pytest.mark.parametrize("operation", OPERATIONS)
def test_there_is_a_route(service: Service, operation: str) -> None:
    method, path = operation.split(" ", 1)
    bodies = {
        "PUT /labels": {"labels": {}},
        "PUT /secrets": {"secrets": []},
        "POST /snapshot": {"name": "x"},
        "POST /snapshots": {"name": "x"},
        "POST /secret": {"name": "x", "value": "x"},
        "POST /volumes": {"name": "x"},
        "POST /warm-pools": {"snapshot": "x", "pool": 1},
        "PATCH /id": {"pool": 1},
    }
    body = bodies.get(f"{method} /{path.rsplit('/', 1)[1]}", {})
    response = service.http.request(method, path, json=None if method == "GET" else body)
    assert response.status_code in (200, 201, 403, 404, 501), response.text
    if response.status_code == 501:
        message = check_envelope(response)["message"]
        assert "this control plane can't" in message or "is needed" in message
    elif response.status_code == 404:
        assert "no operation has" not in response.text
        assert operation.endswith(("/signing-key", "/expire"))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/sandbox", {"name": "a/b"}),
        ("POST", "/api/sandbox", {"name": "x" * 256}),
        ("POST", "/api/sandbox", {"name": "a\0b"}),
        ("POST", "/api/sandbox", {"name": "a\nb"}),
        ("POST", "/api/sandbox", {"name": " a"}),
        ("POST", "/api/sandbox", {"name": ".."}),
        ("POST", "/api/sandbox", {"name": "paginated"}),
        ("POST", "/api/sandbox", {"name": 1}),
        ("POST", "/api/sandbox", {"labels": {"a": 1}}),
        ("POST", "/api/sandbox", {"labels": {"a": "\0"}}),
        ("POST", "/api/sandbox", {"labels": {str(n): "" for n in range(257)}}),
        ("POST", "/api/sandbox", {"env": {"A=B": "x"}}),
        ("POST", "/api/sandbox", {"env": {"": "x"}}),
        ("POST", "/api/sandbox", {"env": {"A": "x\0"}}),
        ("POST", "/api/sandbox", {"env": {"A": "x" * 200_000}}),
        ("POST", "/api/sandbox", {"cpu": 1.5}),
        ("POST", "/api/sandbox", {"cpu": 0}),
        ("POST", "/api/sandbox", {"cpu": -1}),
        ("POST", "/api/sandbox", {"memory": 10**30}),
        ("POST", "/api/sandbox", {"autoStopInterval": -1}),
        ("POST", "/api/sandbox", {"ttlMinutes": -1}),
        ("POST", "/api/sandbox", {"user": "a\0"}),
        ("POST", "/api/sandbox", {"volumes": [{"volumeId": "v", "mountPath": "relative"}]}),
        ("POST", "/api/sandbox", {"volumes": [{"volumeId": "v", "mountPath": "/a/../b"}]}),
        ("POST", "/api/sandbox", {"volumes": [{"volumeId": "v", "mountPath": "/"}]}),
        ("POST", "/api/sandbox", {"volumes": [{"volumeId": "v", "mountPath": "/a"}] * 2}),
        ("POST", "/api/sandbox", []),
        ("POST", "/api/sandbox", "x"),
        ("POST", f"{ONE}/autostop/x", None),
        ("POST", f"{ONE}/autostop/-1", None),
        ("POST", f"{ONE}/autostop/1.5", None),
        ("POST", f"{ONE}/autostop/1e999", None),
        ("POST", f"{ONE}/autostop/nan", None),
        ("POST", f"{ONE}/autostop/99999999999999999999", None),
        ("POST", f"{ONE}/autodelete/1e999", None),
        ("POST", f"{ONE}/ttl/-5", None),
        ("POST", f"{ONE}/public/yes", None),
        ("PUT", f"{ONE}/labels", {}),
        ("PUT", f"{ONE}/labels", {"labels": {"a": None}}),
        ("POST", f"{ONE}/last-activity", {"lastActivityAt": "yesterday"}),
        ("POST", f"{ONE}/ssh-access?expiresInMinutes=0", None),
        ("GET", "/api/sandbox/ssh-access/validate", None),
        ("GET", f"{ONE}/telemetry/metrics?from=x&to=y", None),
        ("GET", f"{ONE}/telemetry/metrics?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", None),
        *(
            ("GET", f"/api/sandbox?{query}", None)
            for query in (
                *("limit=0", "limit=201", "limit=x", "limit=1e1", "limit=1&limit=2", "limit=-1"),
                *("cursor=x", "cursor=%00", "cursor=bnVsbA", "cursor=WzEsMl0"),
                *(
                    "labels=x",
                    "labels=[]",
                    'labels={"a":1}',
                    "labels=%00",
                    'labels={"a":"","a":""}',
                ),
                *("states=running", "sort=x", "order=up", "minCpu=x", "createdAtAfter=x"),
            )
        ),
        ("GET", "/api/sandbox/paginated?page=0", None),
        ("GET", "/api/sandbox/paginated?page=x", None),
    ],
)
def test_what_makes_no_sense_is_400(service: Service, method: str, path: str, body: Any) -> None:
    response = service.http.request(method, path, json=body)
    assert response.status_code == 400, response.text
    check_envelope(response)


@pytest.mark.parametrize("path", ["/api/sandbox/a%2Fb", "/api/sandbox/%00", "/api/sandbox/a%0Ab"])
def test_what_is_no_name_is_404(service: Service, path: str) -> None:
    response = service.http.get(path)
    assert response.status_code == 404
    check_envelope(response)


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PUT", f"{ONE}/labels", rb'{"labels": {"a": "\ud83e"}}'),
        ("PUT", f"{ONE}/labels", rb'{"labels": {"\udd14": "a"}}'),
        ("POST", "/api/sandbox", rb'{"name": "a\ud83e"}'),
        ("POST", "/api/sandbox", rb'{"labels": {"a": "\ud83e\ud83e"}}'),
    ],
)
def test_half_of_a_surrogate_pair_is_400_in_names_and_labels(
    service: Service, method: str, path: str, content: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    response = service.http.request(method, path, content=content, headers=headers)
    assert response.status_code == 400 and "surrogate" in response.text
    check_envelope(response)


@pytest.mark.parametrize("minutes", ["1", "1.0", "0", "5000000"])
def test_an_interval_is_a_number(service: Service, minutes: str) -> None:
    response = service.http.post(f"{ONE}/autostop/{minutes}")
    assert response.json()["autoStopInterval"] == int(float(minutes))


def test_any_negative_interval_disables_autodelete(service: Service) -> None:
    response = service.http.post(f"{ONE}/autodelete/-7")
    assert response.json()["autoDeleteInterval"] == -1


def test_an_activity_needs_no_body_and_is_never_in_the_future(service: Service) -> None:
    api = SandboxApi(api_client(service))
    for body in (None, {"lastActivityAt": "2199-01-01T00:00:00Z"}, {}):
        response = service.http.post(f"{ONE}/last-activity", json=body)
        assert (response.status_code, response.content) == (201, b"")
        noted = api.get_sandbox("any-id").last_activity_at
        assert noted and noted < "2199"
    api.update_last_activity("any-id")


def test_the_organization_of_older_clients_is_ignored(service: Service) -> None:
    headers = {"X-Daytona-Organization-ID": "somebody's"}
    assert service.http.get(ONE, headers=headers).json()["organizationId"] == "local"


def test_clients_up_to_0_181_list_by_page(service: Service) -> None:
    # Its list() without labels sends null.
    for labels in ("null", '{"code-toolbox-language":"python"}', ""):
        service.http.put(f"{ONE}/labels", json={"labels": {"code-toolbox-language": "python"}})
        query = {"labels": labels, "page": "1", "limit": "5", "regions": "local", "sort": "state"}
        page = service.http.get("/api/sandbox/paginated", params=query).json()
        assert (page["total"], page["page"], page["totalPages"]) == (1, 1, 1)
        assert page["items"][0]["env"] == {}
    empty = service.http.get("/api/sandbox/paginated", params={"page": "9"}).json()
    assert (empty["items"], empty["total"]) == ([], 1)
    assert not service.http.get("/api/sandbox/paginated?regions=eu").json()["items"]


def test_the_configuration_is_what_clients_require(service: Service) -> None:
    config = ConfigApi(api_client(service)).config_controller_get_config()
    assert isinstance(config, DaytonaConfiguration)
    assert config.proxy_toolbox_url == f"{service.url}/toolbox"
    # A client that finds one sends its requests for metrics there.
    assert config.analytics_api_url is None
    raw = service.http.get("/api/config").json()
    for name in ("billingApiUrl", "analyticsApiUrl", "posthog"):
        assert name not in raw
    url = raw["proxyTemplateUrl"].replace("{{sandboxId}}", "x").replace("{{PORT}}", "1")
    assert service.http.get(f"{url}/").status_code == 502, "nothing listens"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("{port}-{sandbox}.box.example", "http://{{PORT}}-{{sandboxId}}.box.example"),
        ("https://{port}-{sandbox}.example:1", "https://{{PORT}}-{{sandboxId}}.example:1"),
    ],
)
def test_the_configuration_has_the_host_of_previews(
    make_service: Callable[..., Service], host: str, url: str
) -> None:
    service = make_service(settings=f'[fleet]\npreview_host = "{host}"\n')
    assert service.http.get("/api/config").json()["proxyTemplateUrl"] == url


def test_which_fields_of_a_sandbox_are_never_sent() -> None:
    known = {field.serialization_alias or name for name, field in Sandbox.model_fields.items()}
    known.discard("additional_properties")
    assert known - names(sandboxes.Sandbox) == set(NEVER_SENT)
    assert names(sandboxes.Sandbox) <= known
    in_lists = {f.serialization_alias or name for name, f in SandboxListItem.model_fields.items()}
    in_lists.discard("additional_properties")
    assert names(listed.ListedSandbox) == in_lists - set(NEVER_SENT)


@pytest.mark.parametrize("version", KNOWN)
def test_a_strict_client_gets_no_field_that_it_does_not_know(
    service: Service, version: str
) -> None:
    headers = {"X-Daytona-Source": "sdk-go", "X-Daytona-SDK-Version": version}
    sandbox = service.http.get(ONE, headers=headers).json()
    assert set(sandbox) <= KNOWN[version]
    paged = service.http.get("/api/sandbox/paginated", headers=headers).json()["items"][0]
    assert set(paged) <= KNOWN[version]
    if version == "0.187.0":
        item = service.http.get("/api/sandbox", headers=headers).json()["items"][0]
        assert set(item) <= LISTED_187
        config = service.http.get("/api/config", headers=headers).json()
        assert set(config["oidc"]) == {"issuer", "clientId", "audience"}


def test_a_list_has_no_environments(service: Service) -> None:
    text = service.http.get("/api/sandbox").text
    assert "env" not in json.loads(text)["items"][0]
    assert ListSandboxesResponse.from_json(text) is not None
