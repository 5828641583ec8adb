// Services: programs that are kept running, each with its log, and new ones.

import { Failure, attempt, read, request, tell } from './api.js';
import { confirmed } from './dialogs.js';
import { byId, element, showFacts } from './dom.js';
import { age } from './format.js';
import { Looking } from './looking.js';
import { escapedPart, plain, shown } from './names.js';
import { Follower, Log } from './output.js';
import { Rows, rowButton } from './rows.js';

const KINDS = { ready: 'good', starting: 'warn', backoff: 'warn', failed: 'bad', stopped: 'off' };

const path = (name) => `x/services/${escapedPart(name)}`;

let rows = null;
let log = null;
let follower = null;
let current = ''; // The name of the service that is shown, or '' for the list.
let service = null; // It, as it was last.
let known = new Set(); // The names of all, as they were last.

const program = ({ definition: { command, argv } }) => plain(command ?? argv.join(' '));

function pill({ state }) {
  return element('span', { className: `pill ${KINDS[state] || 'off'}` }, state);
}

function runs({ state }) {
  return !['stopped', 'failed'].includes(state);
}

const COLUMNS = [
  {
    heads: true,
    of: ({ name }) => name,
    make: ({ name }) => element('a', { href: `#services/${escapedPart(name)}` }, shown(name)),
  },
  { of: ({ state }) => state, make: pill },
  { of: program, make: (one) => element('span', { className: 'command' }, program(one)) },
  { className: 'quiet', of: ({ since }) => `for ${age(since)}` },
  { className: 'quiet', of: ({ restarts }) => (restarts ? `${restarts}\u00d7 restarted` : '') },
  {
    of: (one) => [one.name, runs(one)],
    make: (one) => {
      const button = (text, action) => rowButton(text, one.name, () => act(() => request(`${path(one.name)}/${action}`, { method: 'POST' })));
      return element('div', { className: 'actions' }, ...(runs(one)
        ? [button('Restart', 'restart'), button('Stop', 'stop')] : [button('Start', 'start')]));
    },
  },
];

async function act(send) {
  const controls = byId('service-controls');
  controls.disabled = true; // Stopping may take a while.
  await attempt(byId(current ? 'service-error' : 'services-error'), send);
  controls.disabled = false;
  looking.look();
}

function showList(services) {
  known = new Set(services.map(({ name }) => name));
  rows.show(services);
  byId('service-table').hidden = services.length === 0;
  byId('services-none').hidden = services.length > 0;
  byId('service-count').textContent = services.length ? String(services.length) : '';
}

function lastEnd({ exitCode, reason }) {
  if (reason === 'exited') return `exit code ${exitCode}`;
  return reason ? `${reason.replaceAll('-', ' ')} (${exitCode ?? '\u2013'})` : '\u2013';
}

function readiness({ definition: { ready } }) {
  if (!ready) return 'when started';
  if (ready.log !== undefined) return `output matches ${ready.log}`;
  return ready.http !== undefined ? `${ready.port ? `port ${ready.port}, ` : ''}${ready.http} responds` : `port ${ready.port} is open`;
}

function showService(one) {
  service = one;
  byId('service-name').replaceChildren(shown(one.name));
  byId('service-state').replaceChildren(pill(one));
  byId('service-command').textContent = program(one);
  byId('service-message').textContent = one.message || '';
  const facts = {
    For: age(one.since), Restart: one.definition.restart || 'on-failure', Restarts: one.restarts, 'Ready when': readiness(one),
    'Process id': one.pid ?? '\u2013', 'Last end': lastEnd(one), Defined: one.declared ? 'in the settings' : 'by a client',
  };
  showFacts(byId('service-facts'), facts);
  byId('service-start').hidden = runs(one);
  byId('service-stop').hidden = !runs(one);
  byId('service-restart').hidden = !runs(one);
  byId('service-delete').hidden = one.declared;
}

function showGone() {
  service = null;
  follower?.leave();
  follower = null;
  byId('service-state').replaceChildren(element('span', { className: 'pill off' }, 'gone'));
  byId('service-error').textContent = 'There is no such service, or not any more.';
  for (const id of ['start', 'stop', 'restart', 'delete']) byId(`service-${id}`).hidden = true;
}

async function refresh(isShown) {
  if (!current) {
    const { services } = await read('x/services');
    if (isShown()) showList(services);
    return;
  }
  try {
    const one = await read(path(current));
    if (!isShown()) return;
    showService(one);
    if (!follower) follow(one, isShown);
    else follower.reaches(one.logEnd);
  } catch (error) {
    if (!(error instanceof Failure && error.status === 404)) throw error;
    if (isShown()) showGone();
  }
}

const looking = new Looking(refresh, (error) => tell(byId(current ? 'service-error' : 'services-error'), error));

function follow(one, isShown) {
  const told = (now) => {
    if (!isShown()) return;
    if (now) showService(now);
    else showGone();
  };
  follower = new Follower(log, {
    path: path(one.name), socket: `${path(one.name)}/logs`, start: one.logStart, end: one.logEnd, told,
  });
}

function definition() {
  const made = { command: byId('service-program').value, restart: byId('service-policy').value };
  if (byId('service-cwd').value) made.cwd = byId('service-cwd').value;
  const envs = byId('service-envs').value.split('\n').filter((line) => line.trim());
  if (envs.length) made.envs = Object.fromEntries(envs.map((line) => [line.split('=', 1)[0].trim(), line.slice(line.indexOf('=') + 1)]));
  const sign = byId('service-sign').value;
  if (sign === 'log') made.ready = { log: byId('service-pattern').value };
  if (sign === 'port' || sign === 'http') made.ready = { port: Number(byId('service-port').value) };
  if (sign === 'http') made.ready.http = byId('service-path').value;
  return made;
}

async function create(event) {
  event.preventDefault();
  const name = byId('service-new').value.trim();
  const wrong = byId('service-envs').value.split('\n').find((line) => line.trim() && !line.includes('='));
  byId('services-error').textContent = wrong === undefined ? '' : `Not a variable as NAME=value: ${plain(wrong)}`;
  if (wrong !== undefined) return;
  const question = { title: ['Replace ', shown(name), '?'], text: 'There is a service of this name. It is restarted if its definition differs.' };
  if (known.has(name) && !await confirmed(question, 'Replace')) return;
  await attempt(byId('services-error'), async () => {
    await request(path(name), { method: 'PUT', body: definition() });
    byId('service-form').reset();
    showSign();
    location.hash = `#services/${escapedPart(name)}`;
  });
}

// A port, the path of a URL on it, or what the output has to match.
function showSign() {
  const sign = byId('service-sign').value;
  const parts = { port: ['port', 'http'], path: ['http'], pattern: ['log'] };
  for (const [part, signs] of Object.entries(parts)) {
    byId(`service-${part}-part`).hidden = !signs.includes(sign);
    byId(`service-${part}`).required = signs.includes(sign);
  }
}

async function remove() {
  const { name } = service;
  const question = { title: ['Delete ', shown(name), '?'], text: 'It ends, and its log is lost.' };
  if (!await confirmed(question, 'Delete')) return;
  await act(async () => {
    await request(path(name), { method: 'DELETE' });
    location.hash = '#services';
  });
}

function begin() {
  rows = new Rows(byId('service-rows'), ({ name }) => name, COLUMNS, byId('service-make').firstElementChild);
  log = new Log(byId('service-log'));
  byId('service-form').addEventListener('submit', create);
  byId('service-sign').addEventListener('change', showSign);
  for (const action of ['start', 'stop', 'restart']) {
    byId(`service-${action}`).addEventListener('click', () => act(
      () => request(`${path(current)}/${action}`, { method: 'POST' })));
  }
  byId('service-delete').addEventListener('click', remove);
  showSign();
}

// Shows a service, or with an empty name all of them.
export function start(name) {
  if (!rows) begin();
  leave();
  current = name;
  service = null;
  byId('service-list').hidden = name !== '';
  byId('service').hidden = name === '';
  tell(byId('services-error'), null);
  tell(byId('service-error'), null);
  if (name) {
    log.clear();
    byId('service-name').replaceChildren(shown(name));
    for (const id of ['state', 'facts', 'message', 'command']) byId(`service-${id}`).replaceChildren();
    for (const id of ['start', 'stop', 'restart', 'delete']) byId(`service-${id}`).hidden = true;
  }
  looking.look();
}

export function leave() {
  looking.leave();
  follower?.leave();
  follower = null;
}
