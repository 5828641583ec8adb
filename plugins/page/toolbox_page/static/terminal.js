// A terminal of the sandbox in the page: xterm.js on the WebSocket of a PTY.
//
// The service keeps a terminal's output, so a connection that broke is taken up again at the byte
// it had come to: nothing is lost, and nothing is shown twice.

import { Failure, open, read, request } from './api.js';
import { byId, element } from './dom.js';
import { makeScreen } from './screen.js';

const EXIT_CONTROL = 'X-Daytona-Pty-Exit-Control'; // Tells that we understand "exited".
const CHUNK = 32 * 1024; // Characters of input sent at once.
const LONGEST = 8000; // Milliseconds between two attempts to connect.
const GONE = 'is gone, as the service was restarted or somebody ended it';

let term = null;
let beginning = false;
let current = null; // The connection to the terminal that is shown.

function showState(word, kind) {
  byId('terminal-state').textContent = word;
  byId('terminal-state').className = `pill ${kind}`;
}

// One terminal, and the socket to it, as long as it is the one that is shown.
class Connection {
  constructor(id, isNew) {
    this.id = id;
    this.offset = 0;
    this.delay = 250;
    this.ended = false;
    this.refusal = '';
    // Programs ask terminals questions. When their old output is shown again, the answers would
    // be typed a second time: nothing is sent before somebody touches the terminal.
    this.muted = !isNew;
    this.connect();
  }

  get path() {
    return `process/pty/${encodeURIComponent(this.id)}`;
  }

  connect() {
    clearTimeout(this.timer);
    if (this.ended || this !== (current || this)) return;
    const socket = open(`${this.path}/connect?offset=${this.offset}`, [EXIT_CONTROL]);
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      if (typeof data === 'string') this.onControl(JSON.parse(data));
      else this.onOutput(new Uint8Array(data));
    };
    socket.onclose = (event) => {
      if (socket === this.socket) this.onClose(event);
    };
  }

  onControl(told) {
    if (told.status === 'connected') {
      this.offset = told.offset;
      this.delay = 250;
      showState('connected', 'good');
      this.resize();
    } else if (told.status === 'exited') {
      this.end(`exited with ${told.exitCode}`);
    } else if (told.status === 'error') {
      this.refusal = told.error; // It closes next, and then we see why.
    }
  }

  onOutput(data) {
    this.offset += data.length;
    term.write(data);
  }

  async onClose({ code, reason }) {
    this.socket = null;
    if (reason.includes('exitCode')) this.end(`exited with ${JSON.parse(reason).exitCode}`);
    if (this.ended) return;
    showState('reconnecting\u2026', 'warn');
    try {
      await read(this.path);
    } catch (error) {
      if (error instanceof Failure && error.status === 404) this.end(GONE);
      // Taken up again when the page has the new token.
      if (error instanceof Failure && error.status === 401) return;
    }
    if (this.refusal) this.end(this.refusal);
    if (this.ended || this !== current) return;
    this.timer = setTimeout(() => this.connect(), this.delay);
    this.delay = Math.min(2 * this.delay, LONGEST);
  }

  end(why) {
    if (this.ended) return;
    this.ended = true;
    showState('ended', 'off');
    term.write(`\r\n\x1b[90m[${this.id}: ${why}]\r\n[Enter opens a new terminal]\x1b[0m\r\n`);
    list();
  }

  send(text) {
    if (this.muted || !this.socket || this.socket.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < text.length; at += CHUNK) {
      this.socket.send(new TextEncoder().encode(text.slice(at, at + CHUNK)));
    }
  }

  // What is not text: mouse reports of old terminals, one byte for each character.
  sendBytes(text) {
    if (!this.muted && this.socket) this.socket.send(Uint8Array.from(text, (each) => each.charCodeAt(0)));
  }

  async resize() {
    const { cols, rows } = term;
    byId('terminal-size').textContent = `${cols} \u00d7 ${rows}`;
    try {
      await request(`${this.path}/resize`, { method: 'POST', body: { cols, rows } });
    } catch {
      // It has ended, or the connection has: either is told elsewhere.
    }
  }

  // Hang up, and hear no more of it. The terminal itself goes on.
  drop() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }
}

// The browser's title is the one that the program sets, as long as the terminal is to be seen.
function showTitle(title) {
  byId('terminal').dataset.title = title;
  document.dispatchEvent(new Event('titled'));
}

function show(id, isNew) {
  if (current) current.drop();
  term.reset();
  showTitle('');
  current = null;
  current = new Connection(id, isNew);
  showState('connecting\u2026', 'warn');
  term.focus();
}

// The terminals there are. Returns their ids, the oldest first.
async function list() {
  const { sessions } = await read('process/pty');
  const ids = sessions.filter((each) => each.active || each.lazyStart).map((each) => each.id);
  if (current && !ids.includes(current.id)) ids.push(current.id);
  byId('terminals').replaceChildren(...ids.map((id) => element('option', {
    value: id, textContent: id, selected: current !== null && id === current.id,
  })));
  return ids;
}

async function begin() {
  if (beginning) return;
  beginning = true;
  await create();
  beginning = false;
}

async function create() {
  const id = `page-${Math.random().toString(36).slice(2, 8)}`;
  const envs = { TERM: 'xterm-256color', COLORTERM: 'truecolor' };
  const body = { id, envs, cols: term.cols, rows: term.rows };
  try {
    await request('process/pty', { method: 'POST', body });
  } catch (error) {
    showState(error.message, 'bad');
    return;
  }
  show(id, true);
  await list();
}

async function end() {
  if (!current || current.ended) return;
  try {
    await request(current.path, { method: 'DELETE' });
  } catch (error) {
    if (error.status !== 404) showState(error.message, 'bad');
  }
}

async function build() {
  const screen = byId('screen');
  const made = await makeScreen(screen, () => current !== null && !current.muted);
  term = made.term;
  made.fit();
  term.onTitleChange(showTitle);
  term.onData((text) => {
    if (current && !current.ended) current.send(text);
    else if (text === '\r') begin();
  });
  term.onBinary((text) => current && current.sendBytes(text));
  for (const touch of ['keydown', 'beforeinput', 'paste', 'pointerdown']) {
    screen.addEventListener(touch, () => { if (current) current.muted = false; }, true);
  }
  let waiting = 0;
  term.onResize(() => {
    clearTimeout(waiting);
    waiting = setTimeout(() => current && current.resize(), 100);
  });
  new ResizeObserver(() => { if (screen.offsetWidth) made.fit(); }).observe(screen);
  window.addEventListener('online', resume);
  byId('terminals').addEventListener('change', ({ target }) => show(target.value, false));
  byId('terminal-new').addEventListener('click', begin);
  byId('terminal-end').addEventListener('click', end);
}

// Connect at once, where the connection has broken.
function resume() {
  if (current && !current.socket) current.connect();
}

export async function start(possible) {
  byId('terminal-none').hidden = possible;
  document.querySelector('#terminal .toolbar').hidden = !possible;
  byId('screen').hidden = !possible;
  if (!possible) return;
  if (term) {
    term.focus();
    resume();
    return;
  }
  await build();
  const ids = await list();
  if (ids.length) {
    show(ids.at(-1), false);
    await list();
  } else {
    await begin();
  }
}
