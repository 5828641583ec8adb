// ComputeSDK with its provider of Daytona.
import { daytona } from '@computesdk/daytona'

const compute = daytona({ apiKey: process.env.DAYTONA_API_KEY })
const sandbox = await compute.sandbox.create({
  envs: { WORD: 'given' }, metadata: { framework: 'computesdk' }, name: 'computesdk',
})
const ran = await sandbox.runCommand(`sh -c 'echo $WORD $A; pwd; exit 3'`, { cwd: '/usr', env: { A: 'b' } })
const fs = sandbox.filesystem
await fs.mkdir('dir')
await fs.writeFile('dir/a.txt', 'hällo\n')
const text = await fs.readFile('dir/a.txt')
const entries = (await fs.readdir('dir')).map(each => [each.name, each.type, each.size])
const there = [await fs.exists('dir/a.txt'), await fs.exists('dir/none')]
await fs.remove('dir/a.txt')
there.push(await fs.exists('dir/a.txt'))
await sandbox.runCommand('python3 -m http.server 8765', { background: true })
const url = await sandbox.getUrl({ port: 8765 })
const listed = (await compute.sandbox.list()).map(each => each.sandboxId)
const again = await compute.sandbox.getById(sandbox.sandboxId)
const missing = await compute.sandbox.getById('00000000-0000-0000-0000-000000000000')
const snapshots = Array.isArray((await compute.snapshot.list()).items ?? [])
await sandbox.destroy()
const gone = await compute.sandbox.getById(sandbox.sandboxId)
console.log(JSON.stringify({
  ran: [ran.stdout, ran.exitCode], text, entries, there,
  path: new URL(url).pathname,
  listed: listed.includes(sandbox.sandboxId),
  again: again.sandboxId === sandbox.sandboxId,
  missing, snapshots, gone: gone === null || gone.getInstance().state,
}))
