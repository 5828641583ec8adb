"""Every method of the TypeScript SDK's ``sandbox.fs``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.testing import Service

JavaScript = Callable[..., Any]

USED = [
    "createFolder",
    "deleteFile",
    "downloadFile",
    "downloadFileStream",
    "downloadFiles",
    "findFiles",
    "getFileDetails",
    "listFiles",
    "moveFiles",
    "replaceInFiles",
    "searchFiles",
    "setFilePermissions",
    "uploadFile",
    "uploadFileStream",
    "uploadFiles",
]


def test_no_method_is_forgotten_here(javascript: JavaScript) -> None:
    body = "return Object.getOwnPropertyNames(Object.getPrototypeOf(sandbox.fs)).sort()"
    private = {"constructor", "makeFilePayload"}
    assert [name for name in javascript(body) if name not in private] == USED


def test_directories_and_changes(javascript: JavaScript, tmp_path: Path) -> None:
    body = """
        const { fs } = sandbox, d = input, file = `${d}/a/b/é 日本.txt`
        await fs.createFolder(`${d}/a/b`, '755')
        await fs.uploadFile(Buffer.from('one two'), file)
        await fs.setFilePermissions(file, { mode: '640' })
        const info = await fs.getFileDetails(file)
        const [match] = await fs.findFiles(d, 'two')
        const [replaced] = await fs.replaceInFiles([match.file], 'two', '2')
        const listed = (await fs.listFiles(d, { depth: 2 })).map(entry => entry.name)
        const { files } = await fs.searchFiles(d, '*.txt')
        await fs.moveFiles(`${d}/a/b`, `${d}/c`)
        const content = (await fs.downloadFile(`${d}/c/é 日本.txt`)).toString()
        await fs.deleteFile(`${d}/c`, true)
        const error = await fs.getFileDetails(file).catch(error => error.constructor.name)
        return [info.permissions, match.content, replaced.success, listed, files, content, error]
    """
    assert javascript(body, input=str(tmp_path)) == [
        "0640",
        "one two",
        True,
        ["a", "b"],
        [f"{tmp_path}/a/b/é 日本.txt"],
        "one 2",
        "DaytonaFileNotFoundError",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_several_at_once_with_an_error_among_them(javascript: JavaScript, tmp_path: Path) -> None:
    body = """
        const paths = [1, 2, 3].map(n => `${input}/${n}`)
        await sandbox.fs.uploadFiles(paths.map(p => ({ source: Buffer.from(p), destination: p })))
        const wanted = [...paths, `${input}/absent`].map(source => ({ source }))
        const got = await sandbox.fs.downloadFiles(wanted)
        return got.map(each => each.error ? 'error' : String(each.result))
    """
    expected = [f"{tmp_path}/{number}" for number in (1, 2, 3)]
    assert javascript(body, input=str(tmp_path)) == [*expected, "error"]


def test_files_of_the_client(javascript: JavaScript, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(range(256)) * 1000)
    body = """
        await sandbox.fs.uploadFile(`${input}/source`, `${input}/é/there`)
        await sandbox.fs.downloadFile(`${input}/é/there`, `${input}/back`)
    """
    javascript(body, input=str(tmp_path))
    assert (tmp_path / "é" / "there").read_bytes() == (tmp_path / "source").read_bytes()
    assert (tmp_path / "back").read_bytes() == (tmp_path / "source").read_bytes()


def test_large_files_stream_with_progress(javascript: JavaScript, tmp_path: Path) -> None:
    body = """
        const { Readable } = await import('node:stream')
        const { createHash } = await import('node:crypto')
        const sha256 = data => createHash('sha256').update(data).digest('hex')
        const big = Buffer.alloc(100 * 1024 * 1024, 'abcdefg'), path = `${input}/big`
        const sent = [], received = []
        await sandbox.fs.uploadFileStream(Readable.from([big]), path, {
          onProgress: progress => sent.push(progress.bytesSent)
        })
        const hash = createHash('sha256')
        const stream = await sandbox.fs.downloadFileStream(path, {
          onProgress: progress => received.push(progress)
        })
        for await (const chunk of stream) hash.update(chunk)
        const whole = await sandbox.fs.downloadFile(path)
        return { sent: sent.at(-1), received: received.at(-1), calls: received.length,
                 hashes: [sha256(big), hash.digest('hex'), sha256(whole)] }
    """
    size = 100 * 1024 * 1024
    found = javascript(body, input=str(tmp_path))
    with (tmp_path / "big").open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    assert found["hashes"] == [expected] * 3
    assert found["sent"] == size
    assert found["received"] == {"bytesReceived": size, "totalBytes": size}
    assert found["calls"] > 10


def test_a_transfer_that_is_aborted_changes_nothing(
    javascript: JavaScript, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    body = """
        const { Readable } = await import('node:stream')
        const controller = new AbortController()
        const source = Readable.from((function* () {
          for (let n = 0; n < 100; n++) yield Buffer.alloc(1024 * 1024)
        })())
        return await sandbox.fs.uploadFileStream(source, `${input}/file`, {
          signal: controller.signal, onProgress: () => controller.abort()
        }).then(() => 'done', () => 'aborted')
    """
    assert javascript(body, input=str(tmp_path)) == "aborted"
    assert (tmp_path / "file").read_bytes() == b"old"
    # Old kernels know no file without a name: it goes when the service notices.
    service.wait_for(
        lambda: [path.name for path in tmp_path.iterdir()] == ["file"], "the end of the upload"
    )
