// A terminal of the service, or of a sandbox of its fleet: xterm.js on the WebSocket of a PTY.
//
// The service keeps a terminal's output, so a broken connection is resumed at the byte it had
// reached: nothing is lost, and nothing is shown twice.

import { Failure, open, read, request, words } from './api.js';
import { byId, element } from './dom.js';
import { makeScreen } from './screen.js';

const EXIT_CONTROL = 'X-Daytona-Pty-Exit-Control'; // Announces that we understand "exited".
const CHUNK = 32 * 1024; // Characters of input in one message.
const LONGEST = 8000; // Milliseconds between two attempts to connect, at most.
const GONE = 'closed elsewhere, or the service was restarted';

let term = null;
let beginning = false;
let current = null; // The connection of the terminal that is shown.
let sandbox = ''; // The id of the one whose terminals are shown; empty for the service itself.

// The path of terminals: a sandbox is below the service.
function terminals() {
  return `${sandbox ? `toolbox/${encodeURIComponent(sandbox)}/` : ''}process/pty`;
}

function showState(word, kind) {
  byId('terminal-state').textContent = word;
  byId('terminal-state').className = `pill ${kind}`;
}

// A terminal and the socket to it, as long as it is the one that is shown.
class Connection {
  constructor(id, isNew) {
    this.id = id;
    this.path = `${terminals()}/${encodeURIComponent(id)}`;
    this.offset = 0;
    this.delay = 250;
    this.ended = false;
    this.refusal = '';
    // Programs query terminals. When old output is replayed, the replies would be typed a second
    // time: nothing is sent before the user touches the terminal.
    this.muted = !isNew;
    this.connect();
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

  onControl(message) {
    if (message.status === 'connected') {
      this.offset = message.offset;
      this.delay = 250;
      showState('connected', 'good');
      this.resize();
    } else if (message.status === 'exited') {
      this.end(`exited with ${message.exitCode}`);
    } else if (message.status === 'error') {
      this.refusal = message.error; // Shown when the socket closes, which is next.
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
      // Resumed when the page has the new token.
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
    term.write(`\r\n\x1b[90m[${this.id}: ${why}]\r\n[Press Enter to open a new terminal]\x1b[0m\r\n`);
    list();
  }

  send(text) {
    if (this.muted || !this.socket || this.socket.readyState !== WebSocket.OPEN) return;
    for (let offset = 0; offset < text.length; offset += CHUNK) {
      this.socket.send(new TextEncoder().encode(text.slice(offset, offset + CHUNK)));
    }
  }

  // Sends what is not text: mouse reports of old terminals, one byte for each character.
  sendBytes(text) {
    if (!this.muted && this.socket) this.socket.send(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  }

  async resize() {
    const { cols, rows } = term;
    byId('terminal-size').textContent = `${cols} \u00d7 ${rows}`;
    try {
      await request(`${this.path}/resize`, { method: 'POST', body: { cols, rows } });
    } catch {
      // The terminal or the connection has ended: either is shown elsewhere.
    }
  }

  // Closes the socket. The terminal itself keeps running.
  drop() {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }
}

// The browser's title is the one that the program sets, while the terminal is shown.
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

// Lists the terminals; returns their ids, the oldest first.
async function list() {
  const { sessions } = await read(terminals());
  const ids = sessions.filter((session) => session.active || session.lazyStart).map((session) => session.id);
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

// Shows the newest terminal of the chosen sandbox, or a new one.
async function enter() {
  const chosen = sandbox;
  try {
    const ids = await list();
    if (chosen !== sandbox) return;
    if (ids.length) {
      show(ids.at(-1), false);
      await list();
    } else {
      await begin();
    }
  } catch (error) {
    if (chosen === sandbox) showState(words(error), 'bad');
  }
}

// Leaves the terminals of one sandbox for those of another.
function choose(id) {
  if (current) current.drop();
  current = null;
  sandbox = id;
  showState('connecting\u2026', 'warn');
  showTitle('');
  byId('terminals').replaceChildren();
  byId('terminal-sandbox').hidden = !id;
  byId('terminal-sandbox').textContent = id;
  if (!id) return;
  read(`api/sandbox/${encodeURIComponent(id)}`).then(({ name }) => {
    if (sandbox === id) byId('terminal-sandbox').textContent = name;
  }).catch(() => {}); // The terminal tells what is wrong.
}

async function create() {
  const id = `page-${Math.random().toString(36).slice(2, 8)}`;
  const envs = { TERM: 'xterm-256color', COLORTERM: 'truecolor' };
  const body = { id, envs, cols: term.cols, rows: term.rows };
  try {
    await request(terminals(), { method: 'POST', body });
  } catch (error) {
    showState(words(error), 'bad');
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
    if (error.status !== 404) showState(words(error), 'bad');
  }
}

async function build() {
  const screen = byId('screen');
  const { term: created, fit } = await makeScreen(screen, () => current !== null && !current.muted);
  term = created;
  fit();
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
  new ResizeObserver(() => { if (screen.offsetWidth) fit(); }).observe(screen);
  window.addEventListener('online', resume);
  byId('terminals').addEventListener('change', ({ target }) => show(target.value, false));
  byId('terminal-new').addEventListener('click', begin);
  byId('terminal-end').addEventListener('click', end);
}

// Reconnects now if the connection is broken.
function resume() {
  if (current && !current.socket) current.connect();
}

// Shows the terminals of a sandbox; with an empty id, those of the service itself.
export async function start(hasTerminals, id) {
  byId('terminal-none').hidden = hasTerminals;
  document.querySelector('#terminal .toolbar').hidden = !hasTerminals;
  byId('screen').hidden = !hasTerminals;
  if (!hasTerminals) return;
  const isOther = id !== sandbox;
  if (isOther) choose(id);
  if (!term) {
    await build();
  } else if (!isOther && current) {
    term.focus();
    resume();
    return;
  }
  term.reset();
  await enter();
}
