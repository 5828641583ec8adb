"""The sync SDK works in a sandbox that it has created."""

from __future__ import annotations

from pathlib import Path

from daytona import Daytona
from daytona import Sandbox
from daytona import SandboxState
from daytona import SessionExecuteRequest

from toolbox.testing import TOKEN
from toolbox.testing import Service


def test_commands_and_code(sandbox: Sandbox) -> None:
    assert sandbox.process.exec("echo out; exit 3").exit_code == 3
    assert sandbox.process.code_run("print(6 * 7)").result == "42\n"
    result = sandbox.code_interpreter.run_code("x = 6 * 7; print(x)")
    assert result.stdout == "42\n"


def test_sessions(sandbox: Sandbox) -> None:
    sandbox.process.create_session("work")
    request = SessionExecuteRequest(command="cd /usr; pwd; echo bad >&2")
    done = sandbox.process.execute_session_command("work", request)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "/usr\n", "bad\n")
    sandbox.process.delete_session("work")


def test_files(sandbox: Sandbox, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    sandbox.fs.create_folder("dir", "755")
    sandbox.fs.upload_file(content, "dir/a.bin")
    assert sandbox.fs.download_file("dir/a.bin") == content
    assert [each.name for each in sandbox.fs.list_files("dir")] == ["a.bin"]
    sandbox.fs.move_files("dir/a.bin", "dir/b.bin")
    assert sandbox.fs.get_file_info("dir/b.bin").size == len(content)
    sandbox.fs.delete_file("dir", recursive=True)


def test_git(sandbox: Sandbox) -> None:
    sandbox.process.exec("git init -q -b main repository")
    sandbox.fs.upload_file(b"one\n", "repository/a.txt")
    sandbox.git.add("repository", ["a.txt"])
    sandbox.git.commit("repository", "One", "Somebody", "somebody@example.org")
    assert sandbox.git.status("repository").current_branch == "main"
    assert sandbox.git.branches("repository").branches == ["main"]


def test_a_terminal(sandbox: Sandbox) -> None:
    output: list[bytes] = []
    terminal = sandbox.process.create_pty_session(id="terminal", envs={"PS1": ""})
    terminal.send_input("echo $((6 * 7)); exit 5\n")
    result = terminal.wait(on_data=output.append)
    assert (result.exit_code, b"42\r\n" in b"".join(output)) == (5, True)


def test_events(daytona: Daytona, fleet: Service) -> None:
    """A change of state that another client has asked for is heard of."""
    sandbox = daytona.create()
    dispatcher = daytona._event_dispatcher
    assert dispatcher is not None
    fleet.wait_for(lambda: dispatcher.is_connected, "the connection")
    fleet.http.post(f"/api/sandbox/{sandbox.id}/stop").raise_for_status()
    fleet.wait_for(lambda: sandbox.state == SandboxState.STOPPED, "the event")
    sandbox.delete(wait=True)
    fleet.wait_for(lambda: sandbox.state == SandboxState.DESTROYED, "the last event")


def test_no_key_is_in_a_sandbox(sandbox: Sandbox) -> None:
    """What opens other sandboxes can't be read in one; its own token opens nothing else."""
    found = sandbox.process.exec("env; cat /proc/*/environ | tr '\\0' '\\n'").result
    assert "PATH=" in found
    assert TOKEN not in found
