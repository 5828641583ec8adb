// deepagents' sandbox of @langchain/daytona, whose SDK is of 0.143.
import { DaytonaSandbox } from '@langchain/daytona'

const decoder = new TextDecoder(), encoder = new TextEncoder()
const sandbox = await DaytonaSandbox.create({
  language: 'python', envVars: { WORD: 'given' }, labels: { framework: 'langchain' },
  timeout: 30, initialFiles: { '/tmp/first/a.txt': 'first\n' },
})
const ran = await sandbox.execute('cat /tmp/first/a.txt; echo $WORD; exit 3')
const up = await sandbox.uploadFiles([['dir/b.bin', Uint8Array.from({ length: 256 }, (_, i) => i)]])
const down = await sandbox.downloadFiles(['dir/b.bin', 'none'])
await sandbox.write('/tmp/first/c.txt', 'one\ntwo\n')
const edited = await sandbox.edit('/tmp/first/c.txt', 'two', 'three')
const read = await sandbox.read('/tmp/first/c.txt')
const found = await sandbox.execute('grep -rl three /tmp/first')
await sandbox.stop()
await sandbox.start()
const kept = await sandbox.downloadFiles(['dir/b.bin'])
const same = await DaytonaSandbox.fromId(sandbox.id)
const host = (await same.execute('echo again')).output
const late = await DaytonaSandbox.fromId(sandbox.id, { timeout: 1 })
  .then(each => each.execute('sleep 1000')).catch(error => error.code)
await sandbox.close()
const gone = await DaytonaSandbox.fromId('no-such-sandbox').catch(error => error.code)
console.log(JSON.stringify({
  ran: [ran.output, ran.exitCode], up, lengths: [down[0].content.length, kept[0].content.length],
  missing: down[1].error, edited: edited.error ?? null,
  read: JSON.stringify(read).includes('three'), found: found.output, host, late, gone,
}))
