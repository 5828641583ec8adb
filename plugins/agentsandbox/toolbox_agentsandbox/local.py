"""The backend ``local``: the backends of the groups ``process`` and ``files`` of this service."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from toolbox import __version__
from toolbox.errors import BadRequest
from toolbox.errors import Forbidden
from toolbox.errors import RequestTimeout
from toolbox.lifecycle import Context
from toolbox.settings import NoSettings
from toolbox_agentsandbox.engines import Command
from toolbox_agentsandbox.engines import FileInfo
from toolbox_agentsandbox.engines import FilesEngine
from toolbox_agentsandbox.engines import Job
from toolbox_agentsandbox.engines import files_of
from toolbox_agentsandbox.engines import process_of
from toolbox_agentsandbox.models import TIMED_OUT
from toolbox_agentsandbox.models import ExecuteRequest
from toolbox_agentsandbox.models import ExecutionResult
from toolbox_agentsandbox.models import Metadata
from toolbox_agentsandbox.settings import RuntimeSettings

NOT_STARTED = -1
OUT, ERR = 0, 1

_TIMEOUT = "PROCESS_EXECUTION_TIMEOUT"
_JOB = "X-Toolbox-Job"
"""The header of that error with the id of the command."""


class LocalRuntime:
    """See :class:`toolbox_agentsandbox.backend.Runtime`."""

    def __init__(self, settings: NoSettings, context: Context) -> None:
        group: RuntimeSettings = context.group_settings
        self._context = context
        self._root = str(context.work_dir / group.root)

    # Commands

    def execute(
        self, request: ExecuteRequest, is_disconnected: Callable[[], bool]
    ) -> ExecutionResult:
        commands = process_of(self._context).commands
        command = Command(command=request.command, cwd=self._root, timeout=request.timeout_seconds)
        try:
            with commands.execute(command, is_disconnected, separate=True) as finished:
                return self._result(finished.job, False)
        except RequestTimeout as error:
            if error.code != _TIMEOUT:
                raise
            # The command was killed; what it had written is kept with its job.
            return self._result(process_of(self._context).jobs.get(error.headers[_JOB]), True)
        except BadRequest as error:
            # As of a shell: what can't be started is a result, not a failure of the runtime.
            return ExecutionResult(stdout="", stderr=error.message, exit_code=NOT_STARTED)

    def _result(self, job: Job, timed_out: bool) -> ExecutionResult:
        text = process_of(self._context).commands.text
        code = TIMED_OUT if timed_out or job.exit_code is None else job.exit_code
        return ExecutionResult(
            stdout=text(job, OUT).text,
            stderr=text(job, ERR).text,
            exit_code=code,
            timed_out=timed_out,
        )

    # Files

    @property
    def _files(self) -> FilesEngine:
        return files_of(self._context)

    def _inside(self, path: str) -> str:
        # By the text: a link may lead anywhere, and so may a command.
        relative = posixpath.normpath(path.lstrip("/") or ".")
        if relative == ".." or relative.startswith("../"):
            raise Forbidden(f"{path[:300]!r} leads outside of the runtime's root")
        return self._root if relative == "." else posixpath.join(self._root, relative)

    def open(self, path: str) -> BinaryIO:
        return self._files.open(self._inside(path))

    def writing(self, path: str) -> AbstractContextManager[BinaryIO]:
        if not path.strip("/"):
            raise BadRequest("the path of the file is missing")
        return self._files.writing(self._inside(path))

    def info(self, path: str) -> FileInfo:
        return self._files.info(self._inside(path))

    def list(self, path: str) -> Iterator[FileInfo]:
        return self._files.list(self._inside(path), 1)

    def delete(self, path: str, recursive: bool) -> None:
        target = self._inside(path)
        if target == self._root:
            raise Forbidden("the runtime's root can't be deleted")
        # In one step: what is added meanwhile must not be deleted with an empty directory.
        if recursive or not self._files.info(target).is_dir:
            self._files.delete(target, recursive)
        else:
            self._files.remove_folder(target)

    def metadata(self) -> Metadata:
        return Metadata(name="sandbox-toolbox", version=__version__, root=self._root)
