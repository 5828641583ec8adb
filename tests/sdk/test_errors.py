"""Failures come as the exception class that names them, in each SDK."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from daytona import AsyncSandbox
from daytona import Daytona
from daytona import DaytonaAuthenticationError
from daytona import DaytonaFileNotFoundError
from daytona import DaytonaNotFoundError
from daytona import DaytonaProcessExecutionTimeoutError
from daytona import Sandbox

JavaScript = Callable[..., Any]


def test_missing_file(sandbox: Sandbox) -> None:
    with pytest.raises(DaytonaFileNotFoundError) as caught:
        sandbox.fs.download_file("no/such/file")
    assert_missing(caught.value)


def test_missing_file_details(sandbox: Sandbox) -> None:
    with pytest.raises(DaytonaFileNotFoundError) as caught:
        sandbox.fs.get_file_info("no/such/file")
    assert_missing(caught.value)


@pytest.mark.anyio
async def test_missing_file_async(async_sandbox: AsyncSandbox) -> None:
    with pytest.raises(DaytonaFileNotFoundError) as caught:
        await async_sandbox.fs.download_file("no/such/file")
    assert_missing(caught.value)


def assert_missing(error: DaytonaFileNotFoundError) -> None:
    found = (error.status_code, error.code, error.source)
    assert found == (404, "FILE_NOT_FOUND", "DAYTONA_DAEMON")
    assert "no/such/file" in str(error)


def test_missing_file_typescript(javascript: JavaScript) -> None:
    body = """
        try { await sandbox.fs.downloadFile('no/such/file') } catch (error) {
            return [error instanceof sdk.DaytonaFileNotFoundError, error.statusCode, error.code]
        }
    """
    assert javascript(body) == [True, 404, "FILE_NOT_FOUND"]


def test_timeout(sandbox: Sandbox) -> None:
    with pytest.raises(DaytonaProcessExecutionTimeoutError) as caught:
        sandbox.process.exec("sleep 60", timeout=1)
    assert caught.value.code == "PROCESS_EXECUTION_TIMEOUT"


def test_another_token(make_daytona: Callable[..., Daytona]) -> None:
    with pytest.raises(DaytonaAuthenticationError) as caught:
        make_daytona(token="wrong").get("any-id")
    assert caught.value.status_code == 401


def test_a_token_that_was_replaced(sandbox: Sandbox) -> None:
    header = sandbox._toolbox_api._api_client.default_headers
    header["Authorization"] = "Bearer wrong"
    with pytest.raises(DaytonaAuthenticationError) as caught:
        sandbox.get_work_dir()
    assert (caught.value.status_code, caught.value.code) == (401, "UNAUTHORIZED")


def test_another_token_typescript(javascript: JavaScript) -> None:
    body = """
        const other = new sdk.Daytona({ apiKey: 'wrong', apiUrl: input, target: 'local' })
        try { await other.get('any-id') } catch (error) {
            return [error instanceof sdk.DaytonaAuthenticationError, error.statusCode]
        }
    """
    proxy = javascript("return sandbox.toolboxProxyUrl")
    assert javascript(body, input=proxy.removesuffix("/toolbox") + "/api") == [True, 401]


def test_no_such_sandbox(make_daytona: Callable[..., Daytona]) -> None:
    with pytest.raises(DaytonaNotFoundError) as caught:
        make_daytona().get("not an id")
    # The class itself: a code that the client knows from a sandbox would make a narrower one.
    assert type(caught.value) is DaytonaNotFoundError
    assert (caught.value.status_code, caught.value.source) == (404, "DAYTONA_API")
