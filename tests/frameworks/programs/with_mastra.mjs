// Mastra's workspace on a sandbox of @mastra/daytona, whose SDK is of 0.143.
import { setTimeout } from 'node:timers/promises'
import { DaytonaSandbox } from '@mastra/daytona'

const options = { id: 'mastra', language: 'python', env: { WORD: 'given' }, timeout: 30_000,
  labels: { framework: 'mastra' } }
const sandbox = new DaytonaSandbox(options)
await sandbox._start()
const ran = await sandbox.executeCommand('sh', ['-c', 'echo $WORD; echo bad >&2; exit 3'])
const here = await sandbox.executeCommand('pwd', [], { cwd: '/usr' })
const late = await sandbox.executeCommand('sleep', ['1000'], { timeout: 1000 })
const asking = await sandbox.processes.spawn('read x; echo got-$x')
await asking.sendStdin('word\n')
const told = await asking.wait()
const endless = await sandbox.processes.spawn('sleep 1000')
const killed = [await endless.kill(), (await endless.wait()).exitCode]
await sandbox.daytona.fs.uploadFile(Buffer.from('kept'), '/tmp/kept.txt')
const { id } = sandbox.daytona
const info = await sandbox.getInfo()
await sandbox._stop()
// Another process finds the sandbox by its name and starts it again.
const again = new DaytonaSandbox(options)
await again._start()
const reconnected = again.daytona.id === id
const up = await again.executeCommand('echo', ['up'])
await again._destroy()
const gone = new DaytonaSandbox({ ...options, id: 'mastra-other' })
await gone._start()
const { daytona } = gone
await daytona.delete()
// This SDK doesn't wait for it.
while (await daytona.refreshData().then(() => true, () => false)) await setTimeout(20)
// A sandbox that is gone is replaced by another of the name.
const replaced = await gone.executeCommand('echo', ['replaced'])
await gone._destroy()
console.log(JSON.stringify({
  ran: [ran.stdout, ran.stderr, ran.exitCode], here: here.stdout,
  late: [late.exitCode, late.timedOut], told: told.stdout, killed,
  info: [info.provider, info.resources.cpuCores >= 1], reconnected, up: up.stdout,
  replaced: replaced.stdout,
}))
