// The sandboxes of a fleet: a list that follows their events, and what can be done with them.

import { Failure, attempt, read, words } from './api.js';
import { byId, element } from './dom.js';
import { follow } from './events.js';
import { age } from './format.js';
import { Rows, rowButton } from './rows.js';

const PAGE = 200; // Sandboxes asked for at a time, the most that the service sends.
const TICK = 1000;
const ROUND = 5000; // Milliseconds between two looks while no events come.

const RESTING = ['stopped', 'paused', 'archived'];
const FAILED = ['error', 'build_failed'];

const sandboxes = new Map(); // By id.
let rows = null;
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

function actions(sandbox) {
  const made = [];
  const { state } = sandbox;
  if (state === 'started') {
    const link = element('a', { className: 'button', href: `#terminal/${encodeURIComponent(sandbox.id)}` }, 'Terminal');
    link.setAttribute('aria-label', `Terminal of ${sandbox.name}`);
    made.push(link, rowButton('Stop', sandbox.name, () => act(sandbox, 'POST', '/stop')));
  }
  if (RESTING.includes(state)) made.push(rowButton('Start', sandbox.name, () => act(sandbox, 'POST', '/start')));
  if (state === 'error' && sandbox.recoverable) {
    made.push(rowButton('Recover', sandbox.name, () => act(sandbox, 'POST', '/recover')));
  }
  if (state !== 'destroying') made.push(rowButton('Delete', sandbox.name, () => confirmDelete(sandbox)));
  return made;
}

function called({ id, name }) {
  const made = [element('div', {}, name)];
  if (id !== name) made.push(element('div', { className: 'quiet id' }, id));
  return made;
}

function condition({ state, errorReason }) {
  const made = [element('span', { className: `pill ${kind(state)}` }, state)];
  if (errorReason) made.push(element('div', { className: 'quiet' }, errorReason));
  return made;
}

const labels = (sandbox) => Object.entries(sandbox.labels || {}).map(([key, value]) => `${key}=${value}`);

const COLUMNS = [
  { heads: true, of: ({ id, name }) => [id, name], make: called },
  { of: ({ state, errorReason }) => [state, errorReason], make: condition },
  {
    of: labels,
    make: (sandbox) => element('div', { className: 'chips' },
      ...labels(sandbox).map((label) => element('span', { className: 'chip' }, label))),
  },
  {
    className: 'quiet age',
    of: ({ createdAt }) => age(createdAt),
    make: ({ createdAt }) => element('span', { title: createdAt }, age(createdAt)),
  },
  {
    className: 'quiet size',
    of: ({ cpu, memory, disk }) => `${cpu} CPU, ${memory} GiB memory, ${disk} GiB disk`,
  },
  {
    of: ({ id, name, state, recoverable }) => [id, name, state, recoverable],
    make: (sandbox) => element('div', { className: 'actions' }, ...actions(sandbox)),
  },
];

// The newest first; those of one moment always in the same order.
const place = ({ createdAt, id }) => `${createdAt} ${id}`;

function show() {
  const sorted = [...sandboxes.values()].sort((one, other) => (place(one) < place(other) ? 1 : -1));
  rows.show(sorted);
  for (const sandbox of sorted) {
    const row = rows.of(sandbox);
    if (row) Object.assign(row.dataset, { name: sandbox.name, state: sandbox.state });
  }
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
    show(); // Their ages.
    if (!live && performance.now() - lastRound > ROUND) refresh();
  }
}

function begin() {
  rows = new Rows(byId('sandbox-rows'), ({ id }) => id, COLUMNS, byId('sandbox-name'));
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
  if (!rows) begin();
  refresh();
  showSnapshots().catch(() => {}); // The service can't be reached: the list says so.
}
