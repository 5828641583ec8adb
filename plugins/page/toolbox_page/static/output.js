// The output of a job, as it comes: both streams in their order, told apart, the last part of it.

import { Failure, entered, open, read, shut } from './api.js';
import { element } from './dom.js';
import { bytes } from './format.js';

const KEPT = 256 * 1024; // Characters that are shown; browsers get slow with more.
const DRAWN = 50; // Milliseconds between two looks at what has come: a flood is drawn in few steps.
const BLOCK = 16 * 1024; // Characters in one element, at most: the oldest is dropped as a whole.
const BEHIND = 1024 * 1024; // Bytes: whoever is further behind jumps to what will be kept.
const LONGEST = 8000; // Milliseconds between two attempts to connect, at most.

// Control sequences (ECMA-48, 5.4 and 5.6), and one that may go on in the next piece.
const SEQUENCE = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-OQ-WYZ\\`-~])/g;
const BEGUN = /(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?|\r)$/;
const LONGEST_SEQUENCE = 4096; // Characters; more is not waited for.

// Makes text of one stream's bytes.
class Reader {
  constructor() {
    this.decoder = new TextDecoder();
    this.begun = '';
  }

  read(data, isLast) {
    let text = this.begun + this.decoder.decode(data, { stream: !isLast });
    const rest = isLast ? null : BEGUN.exec(text);
    this.begun = rest && rest[0].length < LONGEST_SEQUENCE ? rest[0] : '';
    if (this.begun) text = text.slice(0, -this.begun.length);
    // A return by itself begins the line anew, as in progress bars: here each is a line.
    return text.replace(SEQUENCE, '').replace(/\r\n?/g, '\n')
      .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '\ufffd');
  }
}

// Keeps the readers' place: at the end new output scrolls, anywhere else nothing moves.
class Scroll {
  constructor(place) {
    this.place = place;
  }

  get atEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.place;
    return scrollHeight - scrollTop - clientHeight < 24;
  }

  // Stays at the end while the element gets another size, as when a phone is turned.
  follow() {
    let { atEnd } = this;
    this.place.addEventListener('scroll', () => { atEnd = this.atEnd; });
    new ResizeObserver(() => { if (atEnd) this.end(); }).observe(this.place);
  }

  end() {
    this.place.scrollTop = this.place.scrollHeight;
  }
}

// Shows output in an element.
export class Log {
  constructor(place) {
    this.place = place;
    this.scroll = new Scroll(place);
    this.scroll.follow();
    this.clear();
  }

  clear() {
    this.restart();
    this.size = 0;
    this.queue = [];
    this.place.replaceChildren();
  }

  // What comes next doesn't continue what came before.
  restart() {
    this.readers = { stdout: new Reader(), stderr: new Reader() };
  }

  // Tells of output that is missing here.
  note(text) {
    this.restart();
    this.queue.push({ stream: 'note', text });
    this.draw();
  }

  add(stream, data, isLast = false) {
    const text = this.readers[stream].read(data, isLast);
    if (text) this.queue.push({ stream, text });
    this.draw();
  }

  // Draws soon, however many pieces have come. By a timer: no frames are drawn while nobody looks, and
  // what has come must not pile up until then.
  draw() {
    if (this.drawing || !this.queue.length) return;
    this.drawing = true;
    setTimeout(() => {
      this.drawing = false;
      const { atEnd } = this.scroll;
      for (const { stream, text } of this.queue) this.put(stream, text);
      this.queue = [];
      this.trim();
      if (atEnd) this.scroll.end();
    }, DRAWN);
  }

  put(stream, text) {
    let block = this.place.lastChild;
    if (!block || block.dataset.stream !== stream || block.textContent.length > BLOCK) {
      block = element('div', { className: 'block' });
      block.dataset.stream = stream;
      this.place.append(block);
    }
    block.append(text);
    this.size += text.length;
  }

  trim() {
    const blocks = this.place.children;
    if (this.size <= KEPT && blocks.length < 5000) return;
    if (this.place.firstChild.dataset.stream === 'dropped') this.place.firstChild.remove();
    while (blocks.length > 1 && (this.size > KEPT || blocks.length >= 5000)) {
      this.size -= blocks[0].textContent.length;
      blocks[0].remove();
    }
    const note = element('div', { className: 'block' }, 'Earlier output is not shown: download it to see all.');
    note.dataset.stream = 'dropped';
    this.place.prepend(note);
  }
}

function decoded(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

// Follows the output of what is at a path, a job or a service, over broken connections until it is done.
// told(it) gets it whenever the service sends it, and null when there is none any more.
export class Follower {
  constructor(log, { path, socket, start, end, told }) {
    this.log = log;
    this.path = path;
    this.address = socket;
    this.told = told;
    this.controller = new AbortController();
    this.offset = start;
    this.delay = 250;
    log.clear();
    if (end - start > KEPT) this.skip(end - KEPT);
    this.connect();
  }

  skip(offset) {
    const missed = offset - this.offset;
    this.offset = offset;
    if (missed > 0) this.log.note(`${bytes(missed)} of output are not shown here.`);
  }

  connect() {
    if (this.controller.signal.aborted) return;
    const socket = open(`${this.address}?encoding=base64&offset=${this.offset}`);
    this.socket = socket;
    socket.onmessage = ({ data }) => { if (socket === this.socket) this.take(JSON.parse(data)); };
    socket.onclose = () => { if (socket === this.socket) this.broken(); };
  }

  take(message) {
    this.delay = 250;
    if (message.stream === undefined) {
      if (message.done) {
        for (const stream of ['stdout', 'stderr']) this.log.add(stream, new Uint8Array(), true);
        this.leave();
      }
      this.told(message);
      return;
    }
    const data = decoded(message.data);
    if (message.offset > this.offset) this.skip(message.offset);
    this.offset = message.offset + data.length;
    this.log.add(message.stream, data);
  }

  // There is that much output by now.
  reaches(end) {
    if (end - this.offset < BEHIND || this.controller.signal.aborted) return;
    this.skip(end - KEPT);
    const { socket } = this;
    this.connect();
    shut(socket);
  }

  async broken() {
    const { signal } = this.controller;
    try {
      await read(this.path, { signal });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Failure && error.status === 404) {
        this.leave();
        this.told(null);
        return;
      }
      if (error instanceof Failure && error.status === 401) await entered(signal).catch(() => {});
    }
    setTimeout(() => this.connect(), this.delay);
    this.delay = Math.min(2 * this.delay, LONGEST);
  }

  leave() {
    this.controller.abort();
    const { socket } = this;
    this.socket = null;
    shut(socket);
  }
}
