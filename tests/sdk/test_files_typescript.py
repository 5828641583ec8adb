"""Every method of the TypeScript SDK's ``sandbox.fs``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

JavaScript = Callable[..., Any]


def test_directories_and_changes(javascript: JavaScript, tmp_path: Path) -> None:
    body = """
        const { fs } = sandbox, d = input, file = `${d}/a/b/é 日本.txt`
        await fs.createFolder(`${d}/a/b`, '755')
        await fs.uploadFile(Buffer.from('one two'), file)
        await fs.setFilePermissions(file, { mode: '640' })
        const info = await fs.getFileDetails(file)
        const [match] = await fs.findFiles(d, 'two')
        const [replaced] = await fs.replaceInFiles([match.file], 'two', '2')
        const listed = (await fs.listFiles(`${d}/a`)).map(entry => entry.name)
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
        ["b"],
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


def test_large_files_stream_with_progress(javascript: JavaScript, tmp_path: Path) -> None:
    body = """
        const { Readable } = await import('node:stream')
        const { createHash } = await import('node:crypto')
        const big = Buffer.alloc(100 * 1024 * 1024, 'abcdefg'), path = `${input}/big`
        let sent = 0
        await sandbox.fs.uploadFileStream(Readable.from([big]), path, {
          onProgress: progress => { sent = progress.bytesSent }
        })
        const hash = createHash('sha256')
        for await (const chunk of await sandbox.fs.downloadFileStream(path)) hash.update(chunk)
        const whole = await sandbox.fs.downloadFile(path)
        return [sent, hash.digest('hex') === createHash('sha256').update(big).digest('hex'),
                big.equals(whole)]
    """
    assert javascript(body, input=str(tmp_path)) == [100 * 1024 * 1024, True, True]
