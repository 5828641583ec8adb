// The state of the service and the sandbox, refreshed while the page is visible.

import { Failure, read, request } from './api.js';
import { byId, element, sparkline } from './dom.js';
import { bytes } from './format.js';
import { sums } from './prometheus.js';

const INTERVAL = 2000;
const SAMPLES = 60;

const history = new Map();
let timer = 0;
let rounds = 0;
let version = '';
let before = null;
let lost = false;
let inUse = new Set(); // The groups to ask.

function record(name, value) {
  const values = history.get(name) || [];
  values.push(value);
  history.set(name, values.slice(-SAMPLES));
  return history.get(name);
}

function card(name, shown, detail, value, top) {
  const parts = [element('h3', {}, name), element('p', { className: 'value' }, shown)];
  parts.push(element('p', { className: 'quiet' }, detail || '\u00a0'));
  if (value !== undefined) parts.push(sparkline(record(name, value), top, SAMPLES));
  return element('div', { className: 'card' }, ...parts);
}

// Returns what ask() returns, or null if the group is not in use or disabled.
async function optional(group, ask) {
  if (!inUse.has(group)) return null;
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.status === 404) inUse.delete(group);
    return null;
  }
}

function sandboxCards(system) {
  if (!system) return [];
  const part = (some, all) => (all ? (100 * some) / all : 0);
  const cores = `${system.cpuCount} ${system.cpuCount === 1 ? 'core' : 'cores'}`;
  const disk = system.diskUsed + system.diskFree;
  return [
    card('CPU', `${system.cpuUsedPct.toFixed(1)} %`, `of ${cores}`, system.cpuUsedPct, 100),
    card('Memory', bytes(system.memUsed), `of ${bytes(system.memTotal)}`,
      part(system.memUsed, system.memTotal), 100),
    card('Disk', bytes(system.diskUsed), `${bytes(system.diskFree)} free`,
      part(system.diskUsed, disk), 100),
  ];
}

function serviceCards(text) {
  if (text === null) return [];
  const figures = sums(text);
  const get = (name) => figures.get(name) || 0;
  const now = {
    at: performance.now(),
    requests: get('toolbox_requests_total'),
    seconds: get('toolbox_request_seconds_sum'),
    bytes: get('toolbox_sent_bytes_total') + get('toolbox_received_bytes_total'),
  };
  // One that was restarted counts from zero.
  const last = before && before.requests <= now.requests ? before : now;
  before = now;
  const passed = Math.max(0.001, (now.at - last.at) / 1000);
  const requests = now.requests - last.requests;
  const mean = requests ? (1000 * (now.seconds - last.seconds)) / requests : 0;
  const rate = requests / passed;
  const flow = (now.bytes - last.bytes) / passed;
  const cards = [
    card('Requests', `${rate.toFixed(1)} /s`, `${now.requests} so far`, rate),
    card('Latency', `${mean.toFixed(1)} ms`, 'mean', mean),
    card('Transfer', `${bytes(flow)}/s`, 'both ways', flow),
    card('WebSockets', `${get('toolbox_websockets_open')}`, 'open', get('toolbox_websockets_open')),
    card('Service memory', bytes(get('process_resident_memory_bytes')),
      `${get('process_open_fds')} descriptors`, get('process_resident_memory_bytes')),
  ];
  if (figures.has('toolbox_process_jobs_running')) {
    const running = get('toolbox_process_jobs_running');
    cards.push(card('Jobs', `${running} running`,
      `${get('toolbox_process_jobs_finished')} finished`, running));
  }
  return cards;
}

function health(plugin) {
  if (plugin.status !== 'enabled') return [plugin.status, plugin.status === 'failed' ? 'bad' : 'off'];
  if (plugin.idle) return ['off', 'off'];
  const used = (plugin.backends || []).find((backend) => backend.name === plugin.backend);
  return used && used.missing ? ['incomplete', 'warn'] : ['enabled', 'good'];
}

function row(plugin) {
  const [word, kind] = health(plugin);
  const details = [];
  if (plugin.reason) details.push(plugin.reason);
  if (plugin.idle) details.push(plugin.idle);
  for (const backend of plugin.backends || []) {
    if (backend.missing) details.push(`${backend.name}: ${backend.missing.join(', ')} not found`);
  }
  const used = (plugin.backends || []).find((backend) => backend.name === plugin.backend);
  if (used && used.summary) details.push(used.summary);
  const cell = element('td', { className: 'details' }, ...details.map((line) => element('div', {}, line)));
  if (plugin.details && Object.keys(plugin.details).length) {
    cell.append(element('details', {}, element('summary', {}, 'More'),
      element('dl', {}, ...Object.entries(plugin.details).flatMap(
        ([name, value]) => [element('dt', {}, name), element('dd', {}, value)]))));
  }
  return element('tr', {},
    element('th', { scope: 'row' }, plugin.group || plugin.name),
    element('td', {}, element('span', { className: `pill ${kind}` }, word)),
    element('td', {}, plugin.backend || ''),
    element('td', {}, plugin.version || ''),
    cell);
}

// What has to be done for the figures of the service to be there.
function remedy(metrics) {
  if (!metrics) return 'install the group metrics and set [metrics] enabled = true';
  if (metrics.status === 'disabled') return 'take metrics out of [plugins] disable and set [metrics] enabled = true';
  return metrics.idle ? 'set [metrics] enabled = true' : metrics.reason || 'enable the group metrics';
}

export function showGroups(plugins) {
  const metrics = plugins.find(({ group, name }) => (group || name) === 'metrics');
  byId('metrics-hint').textContent = `To see requests, latencies and jobs here: ${remedy(metrics)}.`;
  inUse = new Set(plugins.filter((plugin) => plugin.status === 'enabled' && !plugin.idle).map((plugin) => plugin.group));
  byId('groups').replaceChildren(...plugins.map(row));
}

function showPorts(list) {
  byId('ports-part').hidden = list === null;
  const ports = list ? list.ports : [];
  const chips = ports.map((port) => element('span', { className: 'chip' }, String(port)));
  byId('ports').replaceChildren(...(chips.length ? chips : ['none']));
}

function showState(word, kind) {
  const pill = byId('state');
  pill.hidden = false;
  pill.textContent = word;
  pill.className = `pill ${kind}`;
}

// A late response shows nothing: its figures are older than those that are shown.
async function showFigures(round) {
  const [system, ports, metrics] = await Promise.all([
    optional('info', () => read('system/metrics')),
    optional('port', () => read('port')),
    optional('metrics', async () => (await request('metrics')).text()),
  ]);
  if (round !== rounds) return;
  const service = card('Version', version, 'Sandbox Toolbox');
  byId('cards').replaceChildren(service, ...sandboxCards(system), ...serviceCards(metrics));
  byId('metrics-hint').hidden = metrics !== null;
  showPorts(ports);
}

async function showReadiness() {
  try {
    showState((await read('readyz')).status, 'good');
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    showState('not ready', 'warn');
  }
}

async function refresh(round) {
  try {
    await showReadiness();
    if (!byId('status').hidden) await showFigures(round);
    if (lost) document.dispatchEvent(new Event('returned'));
    lost = false;
  } catch {
    lost = true;
    showState('unreachable', 'bad');
  }
}

async function tick() {
  clearTimeout(timer);
  const round = (rounds += 1);
  if (!document.hidden) await refresh(round);
  if (round === rounds) timer = setTimeout(tick, INTERVAL);
}

// Refreshes now, and from then on every INTERVAL milliseconds.
export function start(serviceVersion) {
  version = serviceVersion;
  tick();
}

