// The package @modelcontextprotocol/sdk: what its calls return, as JSON.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const headers = { Authorization: `Bearer ${process.env.DAYTONA_API_KEY}` };
const transport = new StreamableHTTPClientTransport(new URL(process.env.MCP_URL), {
  requestInit: { headers },
});
const client = new Client({ name: "test", version: "1" });
const errors = [];
client.onerror = (error) => errors.push(String(error));
await client.connect(transport);

const found = { version: transport.protocolVersion, server: client.getServerVersion().name };
await client.ping();
found.tools = (await client.listTools()).tools.map((tool) => tool.name);
const call = (name, args, options) =>
  client.callTool({ name, arguments: args }, undefined, options);
await call("write_file", { path: "node.txt", content: "node" });
found.read = (await call("read_text_file", { path: "node.txt" })).content[0].text;
const reported = [];
const run = await call(
  "run_command",
  { command: "sleep 1.5; echo out; exit 5" },
  { onprogress: (progress) => reported.push(progress.progress) },
);
found.run = [run.structuredContent.exitCode, run.structuredContent.output];
found.reported = reported.length;
found.missing = (await call("read_text_file", { path: "missing" })).isError;

// Canceled by a notification, after which the command has ended.
const controller = new AbortController();
const command = "echo $$ > canceled.pid; sleep 600";
const canceled = call("run_command", { command }, { signal: controller.signal });
const running = (path) => call("read_text_file", { path });
while (!/\d/.test((await running("canceled.pid")).content[0].text)) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
controller.abort();
await canceled.catch((error) => (found.canceled = String(error)));
const wait = "while kill -0 $(cat canceled.pid); do sleep 0.05; done 2>/dev/null; echo ended";
found.ended = (await call("run_command", { command: wait })).structuredContent.output;

await transport.terminateSession();
await client.close();
found.errors = errors;
console.log(JSON.stringify(found));
