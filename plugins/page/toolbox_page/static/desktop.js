// The desktop: seen and controlled, started and stopped. What was recorded is in recordings.js.

import { attempt, read, request, tell, words } from './api.js';
import { connectControl } from './control.js';
import { ask } from './dialogs.js';
import { byId } from './dom.js';
import { Inputs } from './inputs.js';
import { Looking } from './looking.js';
import { Picture } from './picture.js';
import * as recordings from './recordings.js';

const KINDS = { active: 'good', partial: 'warn', inactive: 'off' };
const WORDS = { active: 'running', partial: 'partly running', inactive: 'not running' };
const RUNNING = ['desktop-controls', 'desktop-record', 'desktop-stop', 'desktop-full'];

const STOPPING = 'stopping\u2026';
const STARTING = 'starting\u2026';

let picture = null;
let inputs = null;
let state = ''; // As the service calls it, or '' before it is known.
let busy = ''; // What is being done: it takes a while.

function showState(word, kind) {
  const pill = byId('desktop-state');
  if (pill.textContent === word) return; // Read aloud only once.
  pill.textContent = word;
  pill.className = `pill ${kind}`;
}

function show() {
  const runs = state === 'active' || state === 'partial';
  showState(busy || WORDS[state] || state, busy ? 'warn' : KINDS[state] || 'off');
  for (const id of RUNNING) byId(id).hidden = !runs;
  byId('desktop-rest').hidden = state !== 'partial';
  byId('desktop-off').hidden = runs || !state;
  byId('desktop-picture').hidden = !runs;
  byId('desktop-start').disabled = byId('desktop-rest').disabled = byId('desktop-stop').disabled = busy !== '';
  if (runs && busy !== STOPPING) picture.start();
  else picture.leave();
}

async function refresh(isShown) {
  const [{ status }, active] = await Promise.all([read('computeruse/status'), recordings.active()]);
  if (!isShown()) return;
  const error = byId('desktop-error');
  if (error.dataset.lost) tell(error, null);
  delete error.dataset.lost;
  state = status;
  recordings.showActive(active);
  show();
}

const looking = new Looking(refresh, (error) => {
  byId('desktop-error').dataset.lost = 'yes'; // Goes away by itself, other than what a person did wrong.
  tell(byId('desktop-error'), error);
});

async function act(word, path) {
  busy = word;
  show();
  await attempt(byId('desktop-error'), () => request(`computeruse/${path}`, { method: 'POST' }));
  busy = '';
  await looking.look();
}

async function typeText() {
  const { choice, text } = await ask({
    title: 'Type a text', label: 'Text', choices: [{ text: 'Type', value: 'type', kind: 'primary' }],
  });
  if (choice) inputs.type(text);
  byId('desktop-keys').focus({ preventScroll: true });
}

async function fill() {
  if (document.fullscreenElement) {
    await document.exitFullscreen();
    return;
  }
  await byId('desktop').requestFullscreen().catch((error) => tell(byId('desktop-error'), error));
  // Where the browser has it: Ctrl+W and the like are the desktop's, too.
  await navigator.keyboard?.lock?.().catch(() => {});
  byId('desktop-keys').focus({ preventScroll: true });
}

function build() {
  const field = byId('desktop-keys');
  const isInside = () => document.activeElement === field;
  inputs = new Inputs((error) => {
    byId('desktop-lost').textContent = error && error.status !== 401 ? words(error) : '';
  });
  picture = new Picture(byId('desktop-picture'), () => !isInside(), (error) => {
    byId('desktop-picture').inert = error !== null;
    if (!error) byId('desktop-size').textContent = `${picture.size.width} \u00d7 ${picture.size.height}`;
    if (error?.status === 503) looking.look();
  });
  connectControl({
    picture: byId('desktop-picture'),
    field,
    inputs,
    place: (event) => picture.place(event),
    leave: () => byId('desktop-text').focus(),
  });
  // The desktop's pointer is shown only while this one isn't on it.
  for (const change of ['focus', 'blur']) field.addEventListener(change, () => picture.again());
  byId('desktop-start').addEventListener('click', () => act(STARTING, 'start'));
  byId('desktop-rest').addEventListener('click', () => act(STARTING, 'start'));
  byId('desktop-stop').addEventListener('click', () => act(STOPPING, 'stop'));
  byId('desktop-text').addEventListener('click', typeText);
  byId('desktop-keyboard').addEventListener('click', () => field.focus({ preventScroll: true }));
  byId('desktop-full').addEventListener('click', fill);
  document.addEventListener('fullscreenchange', () => {
    byId('desktop-full').textContent = document.fullscreenElement ? 'Leave full screen' : 'Full screen';
  });
  byId('desktop-press').addEventListener('click', () => {
    const [key, ...held] = byId('desktop-key').value.split('+').reverse();
    inputs.push('keyboard/key', { key, modifiers: held });
  });
  byId('desktop-record').addEventListener('click', async () => {
    await attempt(byId('desktop-error'), recordings.toggle);
    looking.look();
  });
}

// Shows the desktop itself, its "recordings", or one of them: "recordings/ID".
export function start(thing) {
  if (!picture) build();
  const [part, id] = thing.split('/');
  const isLive = part !== 'recordings';
  byId('desktop-live').hidden = !isLive;
  if (isLive) {
    recordings.leave();
    looking.look();
    show();
  } else {
    leaveLive();
    recordings.start(id || '');
  }
}

function leaveLive() {
  looking.leave();
  picture?.leave();
}

export function leave() {
  leaveLive();
  recordings.leave();
}
