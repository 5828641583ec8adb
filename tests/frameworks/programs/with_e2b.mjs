// E2B's client for Node.js on one sandbox: E2B_DEBUG and no control plane.
import { Sandbox } from 'e2b'

const here = `${process.env.E2B_WORK}/node`
const deadline = 60_000

async function failure(call) {
  try {
    return String(await call())
  } catch (error) {
    return [error.constructor.name, error.exitCode ?? null]
  }
}

async function until(condition) {
  const end = Date.now() + deadline
  while (!(await condition()) && Date.now() < end) await new Promise((go) => setTimeout(go, 50))
  return Boolean(await condition())
}

const box = await Sandbox.create()
await box.files.makeDir(here)
const results = { running: await box.isRunning() }

// The command goes on once its first line was seen: so that was sent before its end.
let seen
const first = new Promise((resolve) => { seen = resolve })
const run = box.commands.run(
  `echo first; until [ -e ${here}/go ]; do sleep 0.05; done; echo bad >&2; echo last`,
  { onStdout: seen, timeoutMs: 0 },
)
const live = await first
await box.files.write(`${here}/go`, '')
const done = await run
const plain = await box.commands.run('pwd; echo "$WORD ü"', { cwd: '/usr', envs: { WORD: 'given' } })
results.commands = {
  live: [live, done.stdout, done.stderr, done.exitCode],
  plain: plain.stdout,
  failed: await failure(() => box.commands.run('exit 3')),
  late: (await failure(() => box.commands.run('sleep 600', { timeoutMs: 1000 })))[0],
  much: (await box.commands.run("head -c 3000000 /dev/zero | tr '\\0' x")).stdout.length,
}

const reader = await box.commands.run('cat; echo end', { background: true, stdin: true, timeoutMs: 0 })
const listed = (await box.commands.list()).map((each) => each.pid)
await box.commands.sendStdin(reader.pid, 'one\n')
const told = await until(() => reader.stdout.includes('one'))
await reader.disconnect()
const again = await box.commands.connect(reader.pid, { timeoutMs: 0 })
await box.commands.sendStdin(reader.pid, 'two\n')
await box.commands.closeStdin(reader.pid)
const end = await again.wait()
const sleeper = await box.commands.run('sleep 600', { background: true, timeoutMs: 0 })
const killed = await box.commands.kill(sleeper.pid)
results.background = {
  listed: listed.includes(reader.pid),
  told,
  again: [end.stdout, end.exitCode],
  killed: [killed, (await failure(() => sleeper.wait()))[0], await box.commands.kill(sleeper.pid)],
  unknown: (await failure(() => box.commands.connect(4_000_000_000)))[0],
}

const path = `${here}/dir/ä b.txt`
const written = await box.files.write(path, 'hällo\n')
await box.files.write(`${here}/x`, new Uint8Array([0, 1]).buffer)
await box.files.write([{ path: `${here}/y`, data: 'y' }, { path: `${here}/z`, data: 'z' }])
const info = await box.files.getInfo(path)
const made = [await box.files.makeDir(`${here}/new/deep`), await box.files.makeDir(`${here}/new/deep`)]
const renamed = await box.files.rename(`${here}/y`, `${here}/elsewhere/w`)
const names = (await box.files.list(here)).map((each) => [each.name, each.type])
await box.files.remove(`${here}/new`)
results.files = {
  written: [written.name, written.path === path],
  text: await box.files.read(path),
  bytes: Array.from(await box.files.read(`${here}/x`, { format: 'bytes' })),
  made,
  info: [info.name, info.type, info.size, info.permissions],
  renamed: renamed.path === `${here}/elsewhere/w`,
  listed: names.sort(),
  there: [await box.files.exists(path), await box.files.exists(`${here}/new`)],
  missing: (await failure(() => box.files.read(`${here}/none`)))[0],
  unlisted: (await failure(() => box.files.list(`${here}/none`)))[0],
}

await box.files.makeDir(`${here}/watched`)
const events = []
const handle = await box.files.watchDir(`${here}/watched`, (event) => { events.push([event.name, event.type]) },
  { recursive: true, timeoutMs: 0 })
await box.files.write(`${here}/watched/a.txt`, 'a')
await box.files.remove(`${here}/watched/a.txt`)
await until(() => events.some(([name, type]) => name === 'a.txt' && type === 'remove'))
await handle.stop()
results.watch = {
  events,
  missing: (await failure(() => box.files.watchDir(`${here}/none`, () => {})))[0],
}

let output = ''
const shell = await box.pty.create({
  cols: 80, rows: 24, cwd: '/usr', timeoutMs: 0, onData: (data) => { output += new TextDecoder().decode(data) },
})
await box.pty.resize(shell.pid, { cols: 100, rows: 30 })
await box.pty.sendInput(shell.pid, new TextEncoder().encode('stty size; pwd; exit 5\n'))
const code = await failure(() => shell.wait())
results.terminal = { size: output.includes('30 100'), cwd: output.includes('/usr'), code }
for (const each of await box.commands.list()) await box.commands.kill(each.pid)

console.log(JSON.stringify(results))
