"""The official TypeScript SDK on commands, code, sessions, terminals and interpreters."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

JavaScript = Callable[..., Any]

PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
"""The interpreter that runs the tests has matplotlib."""


def test_commands_and_code(javascript: JavaScript) -> None:
    body = """
        const run = sandbox.process
        const told = await run.executeCommand('pwd; echo "$A"; exit 3', '/usr', { A: "b 'c" }, 20)
        const late = await run.executeCommand('sleep 1000', undefined, undefined, 1)
            .catch(error => [error.constructor.name, error.statusCode, error.errorCode])
        const absent = await run.executeCommand('true', '/no/such/place')
        const code = await run.codeRun('import os, sys; print(sys.argv[1:], os.environ["A"])',
            { argv: ['a b', '$c'], env: { A: 'd' } })
        const stuck = await run.codeRun('import time; time.sleep(1000)', undefined, 1)
            .catch(error => error.constructor.name)
        const drawn = await run.codeRun(`
import logging; logging.disable()
import matplotlib.pyplot as plt
import datetime as d
plt.bar(['x', 'y'], [1, 2.5]); plt.title('Bars'); plt.show()
plt.plot([d.datetime(2024, 1, 1), d.datetime(2024, 1, 3)], [1, 2]); plt.show()
plt.pie([1, 3], labels=['p', 'q']); plt.show()
print('drawn')`, { env: { PATH: input } })
        return [[told.exitCode, told.result], late, absent.exitCode, code.result, stuck,
            drawn.result, drawn.artifacts.charts.map(each => [each.type, each.title ?? '',
                each.elements.map(e => e.value ?? e.angle ?? e.points.length),
                each.png.length > 99])]
    """
    told, late, absent, code, stuck, result, charts = javascript(body, input=PATH)
    assert told == [3, "/usr\nb 'c\n"]
    assert late == ["DaytonaProcessExecutionTimeoutError", 408, "PROCESS_EXECUTION_TIMEOUT"]
    assert (absent, code) == (-1, "['a b', '$c'] d\n")
    assert "Timeout" in stuck
    assert result == "drawn\n"
    assert charts == [
        ["bar", "Bars", ["1", "2.5"], True],
        ["line", "", [2], True],
        ["pie", "", [90, 270], True],
    ]


def test_sessions(javascript: JavaScript) -> None:
    body = """
        const run = sandbox.process, exec = (command, more) =>
            run.executeSessionCommand('typescript', { command, ...more })
        await run.createSession('typescript')
        const again = await run.createSession('typescript').catch(e => e.constructor.name)
        await exec('X=5; cd /usr')
        const kept = await exec('echo $X; pwd >&2; (exit 7)')
        const asking = await exec('read x; echo got $x; echo € >&2', { runAsync: true })
        await run.sendSessionCommandInput('typescript', asking.cmdId, 'hello')
        let out = '', err = ''
        await run.getSessionCommandLogs('typescript', asking.cmdId,
            text => { out += text }, text => { err += text })
        const whole = await run.getSessionCommandLogs('typescript', asking.cmdId)
        const ended = (await run.getSessionCommand('typescript', asking.cmdId)).exitCode
        const many = await exec('seq 100000; seq 10 >&2', { runAsync: true })
        let lines = '', others = ''
        await run.getSessionCommandLogs('typescript', many.cmdId,
            text => { lines += text }, text => { others += text })
        await exec('exit 4')
        const over = await exec('true').catch(e => [e.statusCode, e.errorCode])
        const listed = (await run.listSessions()).map(each => each.sessionId)
        await run.deleteSession('typescript')
        const gone = await run.getSession('typescript').catch(e => e.constructor.name)
        return [again, [kept.exitCode, kept.stdout, kept.stderr], out, err,
            [whole.stdout, whole.stderr], ended, lines.split('\\n').length,
            others.split('\\n').length, over, listed.includes('typescript'), gone]
    """
    assert javascript(body) == [
        "DaytonaConflictError",
        [7, "5\n", "/usr\n"],
        "hello\ngot hello\n",
        "€\n",
        ["hello\ngot hello\n", "€\n"],
        0,
        100001,
        11,
        [410, "SESSION_ENDED"],
        True,
        "DaytonaProcessNotFoundError",
    ]


def test_terminals(javascript: JavaScript, tmp_path: Path) -> None:
    body = """
        const run = sandbox.process, decoder = new TextDecoder()
        const open = (id, more) => {
            const terminal = { text: '', waiting: [] }
            const onData = data => {
                terminal.text += decoder.decode(data, { stream: true })
                terminal.waiting = terminal.waiting.filter(([text, done]) =>
                    !terminal.text.includes(text) || done())
            }
            terminal.until = text => new Promise(done =>
                terminal.text.includes(text) ? done() : terminal.waiting.push([text, done]))
            const envs = { HOME: input, PS1: '', WORD: 'w x' }
            return run.createPty({ id, cwd: '/usr', envs, cols: 100, rows: 30, onData, ...more })
                .then(handle => Object.assign(terminal, { handle }))
        }
        const one = await open('typescript')
        await one.handle.sendInput('stty size; pwd; echo "[$WORD]"\\n')
        await one.until('[w x]\\r\\n')
        const first = one.text.includes('30 100\\r\\n/usr\\r\\n')
        const info = await one.handle.resize(90, 20)
        await one.handle.sendInput('stty size\\n')
        await one.until('20 90\\r\\n')
        const taken = await open('typescript').catch(e => e.constructor.name)
        let shared = ''
        const two = await run.connectPty('typescript',
            { onData: data => { shared += decoder.decode(data) } })
        await one.handle.sendInput('echo for-$((2)); exit 3\\n')
        const ends = await Promise.all([one.handle.wait(), two.wait()])
        const killed = await open('typescript-kill')
        const listed = (await run.listPtySessions()).map(each => each.id)
        await killed.handle.kill()
        const death = await killed.handle.wait()
        return [first, [info.cols, info.rows], taken, ends.map(each => each.exitCode),
            shared.includes('for-2'), listed.includes('typescript-kill'), death.exitCode]
    """
    first, size, taken, ends, shared, listed, death = javascript(body, input=str(tmp_path))
    assert (first, size, shared, listed) == (True, [90, 20], True, True)
    assert "Error" in taken
    assert (ends, death) == ([3, 3], 137)


def test_interpreters(javascript: JavaScript) -> None:
    body = """
        const python = sandbox.codeInterpreter, chunks = [], errors = []
        const context = await python.createContext('/usr')
        const first = await python.runCode(
            'import os, sys; x = 1; print(os.getcwd(), os.environ["E"]); sys.stderr.write("err")',
            { context, envs: { E: 'v' }, onStdout: message => chunks.push(message.output) })
        const failed = await python.runCode('x / 0',
            { context, onError: error => errors.push(error.name) })
        const late = await python.runCode('while True: pass', { context, timeout: 1 })
            .catch(error => error.constructor.name)
        const kept = await python.runCode('print(x)', { context })
        const died = await python.runCode('import os; os._exit(1)', { context })
            .then(result => result.error.name, error => error.constructor.name)
        const fresh = await python.runCode('print("default")')
        const listed = (await python.listContexts()).some(each => each.id === context.id)
        await python.deleteContext(context)
        const gone = await python.deleteContext(context).catch(e => e.constructor.name)
        return [[first.stdout, first.stderr], chunks.join(''), [failed.error.value, ...errors],
            late, kept.stdout, died, fresh.stdout, listed, gone]
    """
    assert javascript(body) == [
        ["/usr v\n", "err"],
        "/usr v\n",
        ["division by zero", "ZeroDivisionError"],
        "DaytonaTimeoutError",
        "1\n",
        "InterpreterExited",
        "default\n",
        True,
        "DaytonaProcessNotFoundError",
    ]
