// Recordings of the desktop: made, listed, played, saved and deleted.

import { Failure, attempt, read, request, tell } from './api.js';
import { confirmed } from './dialogs.js';
import { byId, element, showFacts } from './dom.js';
import { bytes, duration, moment } from './format.js';
import { Looking } from './looking.js';
import { escapedPart, plain, saved, shown } from './names.js';
import { Rows, rowButton } from './rows.js';

const KINDS = { recording: 'warn', completed: 'good', failed: 'bad' };

const path = (id) => `computeruse/recordings/${escapedPart(id)}`;

let rows = null;
let current = ''; // The id of the recording that is shown, or '' for the list.
let recording = null; // It, as it was last.
let running = null; // The one that is being made.
let attempts = 0; // To play, since it last went well.

function pill({ status }) {
  return element('span', { className: `pill ${KINDS[status] || 'off'}` }, status);
}

// The label that its maker gave it, or its time.
function title({ fileName, startTime }) {
  const [, label] = /^[0-9a-f-]{36}_(.*)_\d{8}_\d{6}\.mp4$/s.exec(fileName) || [];
  if (label === undefined) return fileName;
  return label === 'session' ? moment(startTime) : label;
}

function length({ durationSeconds, startTime, status }) {
  if (status === 'recording') return duration(Date.now() - Date.parse(startTime));
  return durationSeconds === undefined ? '\u2013' : duration(1000 * durationSeconds);
}

const size = ({ sizeBytes }) => (sizeBytes === undefined ? '\u2013' : bytes(sizeBytes));

const COLUMNS = [
  {
    heads: true,
    of: (one) => [one.id, title(one)],
    make: (one) => element('a', { href: `#desktop/recordings/${escapedPart(one.id)}` }, shown(title(one))),
  },
  { of: ({ status }) => status, make: pill },
  { className: 'quiet', of: ({ startTime }) => moment(startTime) },
  { className: 'quiet', of: length },
  { className: 'quiet', of: size },
  {
    of: ({ id, status }) => [id, status],
    make: (one) => {
      const button = (text, action) => rowButton(text, title(one), () => act(() => action(one)));
      return element('div', { className: 'actions' }, ...(one.status === 'recording'
        ? [button('Stop', stop)] : [button('Download', download), button('Delete', remove)]));
    },
  },
];

async function act(send) {
  await attempt(byId(current ? 'recording-error' : 'recordings-error'), send);
  looking.look();
}

const stop = ({ id }) => request('computeruse/recordings/stop', { method: 'POST', body: { id } });

async function link({ id }) {
  const { url } = await read(`x/${path(id)}/link`, { method: 'POST' });
  return url;
}

async function download(one) {
  element('a', { href: await link(one), download: saved(one.fileName) }).click();
}

async function remove(one) {
  if (!await confirmed({ title: 'Delete this recording?', text: plain(title(one)) }, 'Delete')) return;
  await request(path(one.id), { method: 'DELETE' });
  if (current !== one.id) return;
  current = ''; // What is gone is not asked for.
  location.hash = '#desktop/recordings';
}

async function play() {
  attempts += 1;
  const video = byId('recording-video');
  const at = video.currentTime;
  const url = await link(recording);
  video.src = url;
  if (at) video.currentTime = at;
}

function showGone() {
  byId('recording-state').replaceChildren(element('span', { className: 'pill off' }, 'gone'));
  byId('recording-error').textContent = 'There is no such recording, or not any more.';
  byId('recording-controls').disabled = true;
}

function showRecording(one) {
  const isNew = recording?.id !== one.id || recording.status !== one.status;
  recording = one;
  byId('recording-name').replaceChildren(shown(title(one)));
  byId('recording-state').replaceChildren(pill(one));
  byId('recording-controls').disabled = one.status === 'recording';
  showFacts(byId('recording-facts'), { Started: moment(one.startTime), Length: length(one), Size: size(one), File: plain(one.filePath) });
  byId('recording-note').textContent = one.status === 'recording' ? 'It can be played when it has ended.' : '';
  byId('recording-video').hidden = one.status === 'recording';
  if (isNew && one.status !== 'recording') act(play);
}

async function refresh(isShown) {
  if (!current) {
    const { recordings } = await read('computeruse/recordings');
    if (!isShown()) return;
    recordings.sort((one, other) => Date.parse(other.startTime) - Date.parse(one.startTime));
    rows.show(recordings);
    byId('recording-table').hidden = recordings.length === 0;
    byId('recordings-none').hidden = recordings.length > 0;
    byId('recording-count').textContent = recordings.length ? String(recordings.length) : '';
    return;
  }
  try {
    const one = await read(path(current));
    if (isShown()) showRecording(one);
  } catch (error) {
    if (!(error instanceof Failure && error.status === 404)) throw error;
    if (isShown()) showGone();
  }
}

const looking = new Looking(refresh, (error) => tell(byId(current ? 'recording-error' : 'recordings-error'), error));

function build() {
  rows = new Rows(byId('recording-rows'), ({ id }) => id, COLUMNS, byId('recordings-back'));
  const video = byId('recording-video');
  video.addEventListener('loadeddata', () => { attempts = 0; });
  // A link ends with its time, or with the service.
  video.addEventListener('error', () => {
    if (!video.getAttribute('src') || !recording) return;
    if (attempts < 2) act(play);
    else byId('recording-error').textContent = 'The browser can\u2019t play this recording.';
  });
  byId('recording-save').addEventListener('click', () => recording && act(() => download(recording)));
  byId('recording-delete').addEventListener('click', () => recording && act(() => remove(recording)));
}

function stopPlaying() {
  const video = byId('recording-video');
  recording = null;
  attempts = 0;
  video.pause();
  video.removeAttribute('src');
  video.load(); // Ends its requests.
}

// Returns the recording that is being made, or null.
export async function active() {
  const { recordings } = await read('computeruse/recordings');
  return recordings.find(({ status }) => status === 'recording') || null;
}

export function showActive(one) {
  running = one;
  byId('desktop-record').textContent = one ? `Stop recording (${length(one)})` : 'Record';
  byId('desktop-record').classList.toggle('recording', one !== null);
}

// Starts a recording, or stops the one that is being made.
export async function toggle() {
  if (running) await stop(running);
  else await request('computeruse/recordings/start', { method: 'POST' });
}

// Shows the list, or the recording with an id.
export function start(id) {
  if (!rows) build();
  if (recording?.id !== id) stopPlaying();
  current = id;
  byId('recordings').hidden = id !== '';
  byId('recording').hidden = id === '';
  byId('recording-error').textContent = byId('recordings-error').textContent = '';
  looking.look();
}

export function leave() {
  looking.leave();
  byId('recordings').hidden = byId('recording').hidden = true;
  if (rows) stopPlaying();
}
