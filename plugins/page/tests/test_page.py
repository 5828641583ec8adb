"""The page and its files, through the service, without a browser."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import toolbox_page

from toolbox.testing import TOKEN
from toolbox.testing import Service

PACKAGE = Path(toolbox_page.__file__).parent
VENDOR = PACKAGE / "vendor"
VERSIONS = json.loads((VENDOR / "versions.json").read_text())


def test_the_page_is_public_and_tells_nothing(service: Service) -> None:
    with service.client(None) as stranger:
        answer = stranger.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    described = service.http.get("/openapi.json").json()["paths"]["/"]["get"]
    assert list(described["responses"]["200"]["content"]) == ["text/html"]
    assert described["security"] == []
    assert TOKEN not in answer.text
    # The same for every client, except for the nonce: nothing of this sandbox is in it.
    nonce = re.findall(r'nonce="([\w-]{20,})"', answer.text)
    assert len(nonce) == 1
    page = (PACKAGE / "static" / "page.html").read_text()
    assert answer.text == page.replace("{nonce}", nonce[0])


def test_the_policy_lets_nothing_in_from_elsewhere(service: Service) -> None:
    first, second = service.http.get("/"), service.http.get("/")
    policies = []
    for answer in (first, second):
        (nonce,) = re.findall(r'nonce="([\w-]+)"', answer.text)
        header = answer.headers["content-security-policy"]
        assert f"'nonce-{nonce}'" in header
        policies.append(dict(part.split(" ", 1) for part in header.split("; ")))
    assert policies[0] != policies[1], "a nonce is for once"
    policy = policies[0]
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in policy["style-src"] and "unsafe" not in policy["script-src"]
    for value in policy.values():
        assert "http" not in value and "*" not in value
    assert first.headers["cache-control"] == "no-store"
    assert first.headers["referrer-policy"] == "no-referrer"


def test_every_file_is_served_as_what_it_is(service: Service) -> None:
    kinds = {
        ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript",
        ".svg": "image/svg+xml", ".txt": "text/plain",
    }  # fmt: skip
    with service.client(None) as stranger:
        for path in [*(PACKAGE / "static").iterdir(), *VENDOR.iterdir()]:
            name = Path(path.name.removesuffix(".gz"))
            for coding in ("identity", "br, gzip;q=0", "br, gzip"):
                accepting = {"Accept-Encoding": coding}
                answer = stranger.get(f"/page/{name}", headers=accepting)
                if name.suffix not in kinds:
                    assert answer.status_code == 404
                    continue
                assert answer.content == content(path)
                assert answer.headers["content-type"].startswith(kinds[name.suffix])
                assert answer.headers["x-content-type-options"] == "nosniff"
                packed = coding == "br, gzip" and path.suffix == ".gz"
                assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
                assert answer.headers.get("vary") == (
                    "Accept-Encoding" if path.suffix == ".gz" else None
                )
                same = accepting | {"If-None-Match": answer.headers["etag"]}
                assert stranger.get(f"/page/{name}", headers=same).status_code == 304


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def test_everything_the_page_names_is_there(service: Service) -> None:
    named = set(re.findall(r'(?:href|src)="(page/[^"]+)"', service.http.get("/").text))
    for script in (PACKAGE / "static").glob("*.js"):
        text = script.read_text()
        named |= {f"page/{name}" for name in re.findall(r"(?:from |import\()'\./([^']+)'", text)}
        named |= set(re.findall(r"'(page/[^']+)'", text))
    assert {"page/xterm.mjs", "page/swagger-ui-bundle.js", "page/api.js"} <= named
    for name in named:
        assert service.http.get(f"/{name}").status_code == 200, name
    # Nothing is loaded from anywhere else.
    for file in (PACKAGE / "static").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//" not in re.sub(r"(?m)//.*$", "", text) and "http:" not in text, file


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fbundled.py", "page.html", "bundled.py"])
def test_no_other_file_is_served(service: Service, name: str) -> None:
    assert service.http.get(f"/page/{name}").status_code == 404


def test_below_a_prefix(make_service: Callable[..., Service]) -> None:
    service = make_service(settings='[server]\npath_prefix = "/boxes/7"')
    assert service.http.get("/boxes/7/").status_code == 200
    answer = service.http.get("/boxes/7")
    assert (answer.status_code, answer.headers["location"]) == (301, "7/")
    assert str(answer.next_request.url if answer.next_request else "").endswith("/boxes/7/")
    assert service.http.get("/boxes/7/page/page.js").status_code == 200


def test_every_library_has_its_licence() -> None:
    described = [name for each in VERSIONS.values() for name in each["files"]]
    assert sorted([*described, "versions.json"]) == sorted(path.name for path in VENDOR.iterdir())
    for name, words in {
        "@xterm/xterm": "Permission is hereby granted, free of charge",
        "@xterm/addon-fit": "Permission is hereby granted, free of charge",
        "@xterm/addon-search": "Permission is hereby granted, free of charge",
        "@xterm/addon-unicode-graphemes": "Permission is hereby granted, free of charge",
        "@xterm/addon-web-links": "Permission is hereby granted, free of charge",
        "swagger-ui-dist": "Apache License",
    }.items():
        told = VERSIONS[name]
        assert told["license"] in ("MIT", "Apache-2.0")
        (licence,) = [each for each in told["files"] if re.fullmatch(r"[\w-]+\.LICENSE\.txt", each)]
        assert words in (VENDOR / licence).read_text()
    # The bundle names a file with the licenses of what it has bundled.
    head = content(VENDOR / "swagger-ui-bundle.js.gz")[:200].decode("utf-8", "replace")
    assert "swagger-ui-bundle.js.LICENSE.txt" in head


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_libraries_are_what_their_authors_publish() -> None:
    script = PACKAGE.parent / "vendor.py"
    command = [sys.executable, str(script), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_summaries_are_plain_text(service: Service) -> None:
    # F-D2: the reference shows them as they are, unlike descriptions (OpenAPI 3.1, 4.8.10).
    paths = service.http.get("/openapi.json").json()["paths"]
    summaries = [each["summary"] for item in paths.values() for each in item.values()]
    assert len(summaries) > 3
    assert not [each for each in summaries if "`" in each]
