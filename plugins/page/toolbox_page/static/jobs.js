// Jobs: all that the service runs or has run, each with its output, and new ones.

import { Failure, attempt, read, request, tell } from './api.js';
import { copy } from './clipboard.js';
import { confirmed } from './dialogs.js';
import { byId, element, showFacts } from './dom.js';
import { save } from './downloads.js';
import { age, bytes, duration } from './format.js';
import { Looking } from './looking.js';
import { escapedPart, plain, shown } from './names.js';
import { Follower, Log } from './output.js';
import { Rows, rowButton } from './rows.js';

const PIECE = 4 * 1024 * 1024; // Bytes of output in one response, the most that the service sends.

const path = (id) => `x/jobs/${escapedPart(id)}`;

let rows = null;
let log = null;
let follower = null;
let current = ''; // The id of the job that is shown, or '' for the list.
let job = null; // It, as it was last.

// The state in a word, and its color.
function state({ done, reason, exitCode }) {
  if (!done) return ['running', 'warn'];
  if (reason === 'exited') return [`exit code ${exitCode}`, exitCode === 0 ? 'good' : 'bad'];
  if (reason === 'signal' && exitCode > 128) return [`signal ${exitCode - 128}`, 'bad'];
  return [(reason || 'ended').replaceAll('-', ' '), reason === 'cancelled' ? 'off' : 'bad'];
}

function pill(one) {
  const [word, kind] = state(one);
  return element('span', { className: `pill ${kind}` }, word);
}

function ran({ startedAt, endedAt }) {
  return duration((endedAt ? Date.parse(endedAt) : Date.now()) - Date.parse(startedAt));
}

const called = ({ command, kind }) => plain(command) || kind;

const COLUMNS = [
  {
    heads: true,
    of: ({ id, command, kind }) => [id, command, kind],
    make: (one) => element('a', { href: `#jobs/${escapedPart(one.id)}`, className: 'command' },
      shown(one.command || one.kind)),
  },
  { of: state, make: pill },
  { className: 'quiet', of: ({ kind }) => kind },
  { className: 'quiet', of: ({ startedAt }) => `${age(startedAt)} ago` },
  { className: 'quiet', of: ran },
  { className: 'quiet', of: ({ outputEnd }) => bytes(outputEnd) },
  {
    of: ({ id, done }) => [id, done],
    make: (one) => element('div', { className: 'actions' },
      ...(one.done ? [] : [rowButton('End', called(one), () => end(one))])),
  },
];

async function end(one) {
  const question = {
    title: 'End this job?', text: `It ends with everything that it has started: ${called(one)}`,
  };
  if (!await confirmed(question, 'End')) return;
  await act(() => request(path(one.id), { method: 'DELETE' }));
}

async function act(send) {
  await attempt(byId(current ? 'job-error' : 'jobs-error'), send);
  looking.look();
}

function showList(jobs) {
  const onlyRunning = byId('jobs-running').checked;
  const wanted = byId('jobs-filter').value.toLowerCase();
  const found = jobs.filter((one) => (!onlyRunning || !one.done) && called(one).toLowerCase().includes(wanted));
  rows.show(found.reverse()); // The newest first.
  byId('job-table').hidden = found.length === 0;
  byId('jobs-none').hidden = found.length > 0;
  byId('jobs-none').textContent = jobs.length ? 'No job matches.' : 'Nothing has run yet.';
  const running = jobs.filter(({ done }) => !done).length;
  byId('job-count').textContent = jobs.length ? `${running} running, ${jobs.length - running} ended` : '';
}

function showJob(one) {
  job = one;
  byId('job-command').textContent = plain(one.command || one.kind);
  byId('job-state').replaceChildren(pill(one));
  const facts = { Kind: one.kind, Id: one.id, 'Process id': one.pid ?? '\u2013', Started: `${age(one.startedAt)} ago`, Ran: ran(one), Output: bytes(one.outputEnd) };
  showFacts(byId('job-facts'), facts);
  byId('job-controls').disabled = one.done;
}

function showGone() {
  byId('job-state').replaceChildren(element('span', { className: 'pill off' }, 'gone'));
  byId('job-error').textContent = 'The service doesn\u2019t know this job, or not any more.';
  byId('job-controls').disabled = true;
}

async function refresh(isShown) {
  if (!current) {
    const { jobs } = await read('x/jobs');
    if (isShown()) showList(jobs);
    return;
  }
  try {
    const one = await read(path(current));
    if (!isShown()) return;
    showJob(one);
    if (!follower) follow(one, isShown);
    else follower.reaches(one.outputEnd);
  } catch (error) {
    if (!(error instanceof Failure && error.status === 404)) throw error;
    if (isShown()) showGone();
  }
}

const looking = new Looking(refresh, (error) => tell(byId(current ? 'job-error' : 'jobs-error'), error));

function follow(one, isShown) {
  const told = (now) => {
    if (!isShown()) return;
    if (now) showJob(now);
    else showGone();
  };
  follower = new Follower(log, {
    path: path(one.id), socket: `${path(one.id)}/output`, start: one.outputStart, end: one.outputEnd, told,
  });
}

async function startJob(event) {
  event.preventDefault();
  const field = byId('job-new');
  const body = { command: field.value };
  if (byId('job-cwd').value) body.cwd = byId('job-cwd').value;
  if (byId('job-timeout').value) body.timeout = Number(byId('job-timeout').value);
  await attempt(byId('jobs-error'), async () => {
    const { id } = await read('x/jobs', { method: 'POST', body });
    field.value = '';
    location.hash = `#jobs/${escapedPart(id)}`;
  });
}

function sendSignal() {
  const signal = byId('job-signal').value;
  act(() => request(`${path(current)}/signal`, { method: 'POST', body: { signal, tree: byId('job-tree').checked } }));
}

async function copyId() {
  const done = await copy(current);
  byId('job-copied').textContent = done ? 'copied' : 'not allowed';
}

// Saves all output that the service still has.
async function saveOutput() {
  const { id, outputStart, outputEnd } = job;
  const parts = [];
  let offset = outputStart;
  while (offset < outputEnd) { // A running job may write faster than this reads.
    const { pieces, nextOffset } = await read(`${path(id)}/output?offset=${offset}&limit=${PIECE}`);
    if (!pieces.length) break;
    parts.push(new Blob(pieces.map(({ data }) => Uint8Array.from(atob(data), (one) => one.charCodeAt(0)))));
    offset = nextOffset;
  }
  save(new Blob(parts), `${id}.log`);
}

function begin() {
  rows = new Rows(byId('job-rows'), ({ id }) => id, COLUMNS, byId('jobs-filter'));
  log = new Log(byId('job-output'));
  byId('job-form').addEventListener('submit', startJob);
  byId('job-new').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId('job-form').requestSubmit();
  });
  byId('jobs-running').addEventListener('change', () => looking.look());
  byId('jobs-filter').addEventListener('input', () => looking.look());
  byId('job-send').addEventListener('click', sendSignal);
  byId('job-end').addEventListener('click', () => end(job));
  byId('job-copy').addEventListener('click', copyId);
  byId('job-save').addEventListener('click', () => act(saveOutput));
  for (const stream of ['stdout', 'stderr']) {
    byId(`job-${stream}`).addEventListener('change', ({ target }) => {
      byId('job-output').classList.toggle(`no-${stream}`, !target.checked);
    });
  }
}

// Shows a job, or with an empty id all of them.
export function start(id) {
  if (!rows) begin();
  leave();
  current = id;
  job = null;
  byId('job-list').hidden = id !== '';
  byId('job').hidden = id === '';
  tell(byId('jobs-error'), null);
  tell(byId('job-error'), null);
  byId('job-copied').textContent = '';
  if (id) {
    log.clear();
    byId('job-command').textContent = '';
    byId('job-state').replaceChildren();
    byId('job-facts').replaceChildren();
    byId('job-controls').disabled = true;
  }
  looking.look();
}

export function leave() {
  looking.leave();
  follower?.leave();
  follower = null;
}
