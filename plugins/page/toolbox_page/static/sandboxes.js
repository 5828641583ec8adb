// The sandboxes of a fleet: a list that follows their events, and what can be done with them.

import { Failure, attempt, read, words } from './api.js';
import { byId, element } from './dom.js';
import { follow } from './events.js';
import { age } from './format.js';

const PAGE = 200; // Sandboxes asked for at a time, the most that the service sends.
const TICK = 1000;
const ROUND = 5000; // Milliseconds between two looks while no events come.

const RESTING = ['stopped', 'paused', 'archived'];
const FAILED = ['error', 'build_failed'];

const sandboxes = new Map(); // By id.
const rows = new Map(); // By id; each has its row, and what it shows.
let started = false;
let live = false;
let missed = null; // Events that come while the list is read, which may be older.
let lastRound = 0;

const path = (sandbox) => `api/sandbox/${encodeURIComponent(sandbox.id)}`;

function kind(state) {
  if (state === 'started') return 'good';
  if (RESTING.includes(state)) return 'off';
  return FAILED.includes(state) ? 'bad' : 'warn';
}

// Does something with a sandbox; the service reports what becomes of it.
async function act(sandbox, method, action) {
  const done = await attempt(byId('sandboxes-error'), async () => {
    put(await read(`${path(sandbox)}${action}`, { method }));
  });
  if (!done) refresh();
}

function button(text, sandbox, onclick) {
  const made = element('button', { type: 'button', onclick }, text);
  made.setAttribute('aria-label', `${text} ${sandbox.name}`); // The same word is in each row.
  return made;
}

function actions(sandbox) {
  const made = [];
  const { state } = sandbox;
  if (state === 'started') {
    const link = element('a', { className: 'button', href: `#terminal/${encodeURIComponent(sandbox.id)}` }, 'Terminal');
    link.setAttribute('aria-label', `Terminal of ${sandbox.name}`);
    made.push(link, button('Stop', sandbox, () => act(sandbox, 'POST', '/stop')));
  }
  if (RESTING.includes(state)) made.push(button('Start', sandbox, () => act(sandbox, 'POST', '/start')));
  if (state === 'error' && sandbox.recoverable) {
    made.push(button('Recover', sandbox, () => act(sandbox, 'POST', '/recover')));
  }
  if (state !== 'destroying') made.push(button('Delete', sandbox, () => confirmDelete(sandbox)));
  return made;
}

function cells(sandbox) {
  const name = element('th', { scope: 'row' }, element('div', {}, sandbox.name));
  if (sandbox.id !== sandbox.name) name.append(element('div', { className: 'quiet id' }, sandbox.id));
  const state = element('td', {}, element('span', { className: `pill ${kind(sandbox.state)}` }, sandbox.state));
  if (sandbox.errorReason) state.append(element('div', { className: 'quiet' }, sandbox.errorReason));
  const labels = Object.entries(sandbox.labels || {}).map(
    ([key, value]) => element('span', { className: 'chip' }, `${key}=${value}`));
  const size = `${sandbox.cpu} CPU, ${sandbox.memory} GiB memory, ${sandbox.disk} GiB disk`;
  return [name, state,
    element('td', {}, element('div', { className: 'chips' }, ...labels)),
    element('td', { className: 'quiet age', title: sandbox.createdAt }, age(sandbox.createdAt)),
    element('td', { className: 'quiet size' }, size),
    element('td', {}, element('div', { className: 'actions' }, ...actions(sandbox)))];
}

// Shows a sandbox in its row, which is only made anew if something has changed: whoever is about to
// press a button must find it in its place, and keeps the focus in the row.
function showRow(sandbox) {
  const shown = JSON.stringify({ ...sandbox, updatedAt: null, lastActivityAt: null });
  const known = rows.get(sandbox.id);
  if (known && known.shown === shown) return known.row;
  const row = known ? known.row : element('tr', {});
  const focused = row.contains(document.activeElement);
  row.replaceChildren(...cells(sandbox));
  row.dataset.name = sandbox.name;
  row.dataset.state = sandbox.state;
  rows.set(sandbox.id, { row, shown });
  if (focused) (row.querySelector('.actions > *') || byId('sandbox-name')).focus();
  return row;
}

function show() {
  for (const [id, { row }] of rows) {
    if (sandboxes.has(id)) continue;
    if (row.contains(document.activeElement)) byId('sandbox-name').focus();
    row.remove();
    rows.delete(id);
  }
  const sorted = [...sandboxes.values()].sort((one, other) => (one.createdAt < other.createdAt ? 1 : -1));
  const body = byId('sandbox-rows');
  sorted.map(showRow).forEach((row, index) => {
    // Moved only if it must be: a row that is moved loses the focus.
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] || null);
  });
  byId('sandboxes-none').hidden = sorted.length > 0;
  byId('sandbox-table').hidden = sorted.length === 0;
  byId('sandbox-count').textContent = sorted.length ? String(sorted.length) : '';
}

// Takes the state of a sandbox that an event or a response has.
function put(sandbox) {
  take(sandbox);
  if (missed) missed.push(sandbox);
  show();
}

function take(sandbox) {
  // One that waits in a warm pool is nobody's yet.
  if (sandbox.state === 'destroyed' || sandbox.warmPoolId) sandboxes.delete(sandbox.id);
  else sandboxes.set(sandbox.id, sandbox);
}

async function all() {
  const found = [];
  let cursor = '';
  do {
    const query = new URLSearchParams({ limit: PAGE, ...(cursor ? { cursor } : {}) });
    const page = await read(`api/sandbox?${query}`);
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor);
  return found;
}

async function refresh() {
  if (missed) return; // It is being read already.
  missed = [];
  lastRound = performance.now();
  try {
    const found = await all();
    sandboxes.clear();
    [...found, ...missed].forEach(take);
    show();
    byId('sandboxes-lost').hidden = true;
  } catch (error) {
    byId('sandboxes-lost').hidden = error instanceof Failure && error.status === 401;
    byId('sandboxes-lost').textContent = `The list could not be read. ${words(error)}`;
  }
  missed = null;
}

async function showSnapshots() {
  let names = [];
  try {
    const { items } = await read(`api/snapshots?limit=${PAGE}`);
    names = items.filter(({ state }) => state === 'active').map(({ name }) => name).sort();
  } catch (error) {
    if (!(error instanceof Failure)) throw error; // A backend may have none.
  }
  byId('sandbox-snapshot-part').hidden = names.length === 0;
  const chosen = byId('sandbox-snapshot').value;
  byId('sandbox-snapshot').replaceChildren(
    element('option', { value: '' }, 'none'),
    ...names.map((name) => element('option', { value: name, selected: name === chosen }, name)),
  );
}

async function create(event) {
  event.preventDefault();
  const field = byId('sandbox-name');
  const body = {};
  if (field.value.trim()) body.name = field.value.trim();
  if (byId('sandbox-snapshot').value) body.snapshot = byId('sandbox-snapshot').value;
  byId('sandbox-create').disabled = true;
  const done = await attempt(byId('sandboxes-error'), async () => {
    put(await read('api/sandbox', { method: 'POST', body }));
    field.value = '';
  });
  if (!done) field.select();
  byId('sandbox-create').disabled = false;
}

// The browser's own dialog keeps the focus inside, is left by Escape, and gives the focus back.
function confirmDelete(sandbox) {
  const dialog = byId('sandbox-delete');
  byId('sandbox-delete-name').textContent = sandbox.name;
  dialog.returnValue = '';
  dialog.onclose = () => {
    if (dialog.returnValue === 'delete') act(sandbox, 'DELETE', '');
  };
  dialog.showModal();
}

function tick() {
  if (!byId('sandboxes').hidden && !document.hidden) {
    for (const [id, { row }] of rows) row.querySelector('.age').textContent = age(sandboxes.get(id).createdAt);
    if (!live && performance.now() - lastRound > ROUND) refresh();
  }
}

function begin() {
  started = true;
  byId('sandbox-form').addEventListener('submit', create);
  follow({
    joined() {
      live = true;
      refresh();
    },
    received(name, data) {
      put(name === 'sandbox.created' ? data : data.sandbox);
    },
    left() {
      live = false;
    },
  });
  setInterval(tick, TICK);
}

export function start() {
  if (!started) begin();
  refresh();
  showSnapshots().catch(() => {}); // The service can't be reached: the list says so.
}
