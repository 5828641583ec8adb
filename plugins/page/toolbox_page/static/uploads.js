// Uploads in pieces: a broken connection costs a piece at most, and the file appears when it is whole.

import { Failure, entered, read, request } from './api.js';
import { escapedPart } from './names.js';
import { Transfer } from './transfers.js';

const AT_ONCE = 3; // Files; more would only share the line.
const LEAST = 1024 * 1024; // Bytes in a piece.
const MOST = 16 * 1024 * 1024;
const SHORT = 500; // Milliseconds: a piece that is sent in less is followed by a larger one.
const LONG = 3000; // And by a smaller one after more: the progress has to move.
const LONGEST = 8000; // Milliseconds between two attempts, at most.

let running = 0;
const waiting = [];

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

class Upload {
  constructor(file, path, name, done) {
    this.file = file;
    this.done = done;
    // The same file again is taken up where it was left, even by a page that was opened anew.
    const id = `page-${file.size}-${file.lastModified}`;
    this.url = `x/files/upload?path=${escapedPart(path)}&id=${id}`;
    this.offset = 0;
    this.begun = false;
    this.replace = false;
    this.transfer = new Transfer('Upload', name, file.size);
  }

  // Sends pieces until the file is whole.
  async run() {
    if (this.begun || this.file.size > LEAST) await this.find();
    this.begun = true;
    let size = LEAST;
    let delay = 250;
    for (;;) {
      const began = performance.now();
      try {
        if (await this.piece(size)) return;
        delay = 250;
      } catch (error) {
        await this.recover(error, delay);
        delay = Math.min(2 * delay, LONGEST);
      }
      const took = performance.now() - began;
      if (took < SHORT) size = Math.min(2 * size, MOST);
      if (took > LONG) size = Math.max(size / 2, LEAST);
    }
  }

  // Sends a piece; returns whether it was the last one.
  async piece(size) {
    const piece = this.file.slice(this.offset, this.offset + size);
    const last = this.offset + piece.size >= this.file.size;
    const headers = { 'Upload-Offset': String(this.offset), 'Upload-Complete': last ? '?1' : '?0' };
    if (last && !this.replace) headers['If-None-Match'] = '*'; // What is there is not lost unasked.
    // Read first: a file that can't be read is no broken connection.
    const raw = new Blob([await piece.arrayBuffer()]);
    const { signal } = this.transfer;
    const { offset, complete } = await read(this.url, { method: 'PATCH', raw, headers, signal });
    this.offset = offset;
    this.transfer.progress(offset);
    return complete;
  }

  // Returns if it is worth to go on, where the service has got to; throws the error if not.
  async recover(error, delay) {
    if (this.transfer.signal.aborted) throw error;
    if (error instanceof DOMException) throw error; // The file was changed or deleted meanwhile.
    if (error instanceof Failure) {
      if (error.status === 401) await entered(this.transfer.signal);
      else if (![409, 502, 503, 504].includes(error.status)) throw error;
    } else {
      this.transfer.say('interrupted, trying again\u2026');
    }
    await pause(delay);
    try {
      await this.find();
    } catch (again) {
      // The next attempt shows it, if it lasts.
      if (again instanceof Failure && ![401, 502, 503, 504].includes(again.status)) throw again;
    }
  }

  // Finds out where the service has got to.
  async find() {
    const { offset } = await read(this.url, { signal: this.transfer.signal });
    if (offset > this.file.size) await request(this.url, { method: 'DELETE' });
    this.offset = offset > this.file.size ? 0 : offset;
    this.transfer.progress(this.offset);
  }

  async start() {
    this.transfer.progress(0);
    this.transfer.offer({ Cancel: () => this.transfer.controller.abort() });
    try {
      await this.run();
      this.transfer.finish();
      this.done();
    } catch (error) {
      await this.stop(error);
    }
  }

  async stop(error) {
    if (this.transfer.signal.aborted) {
      await this.drop();
    } else if (error instanceof Failure && error.status === 412) {
      this.transfer.say('There is a file of this name already.', 'failed');
      this.transfer.offer({
        Replace: () => {
          this.replace = true;
          enqueue(this);
        },
        Skip: () => this.drop(),
      });
    } else {
      this.transfer.fail(error, { 'Try again': () => enqueue(this) });
    }
  }

  async drop() {
    this.transfer.remove();
    await request(this.url, { method: 'DELETE' }).catch(() => {}); // It expires by itself.
  }
}

async function enqueue(upload) {
  waiting.push(upload);
  upload.transfer.say('waiting');
  if (running >= AT_ONCE) return;
  running += 1;
  while (waiting.length) {
    const next = waiting.shift();
    if (next.transfer.signal.aborted) next.drop();
    else await next.start();
  }
  running -= 1;
}

// Uploads a file to a path; done() is called when it is there.
export function upload(file, path, name, done) {
  enqueue(new Upload(file, path, name, done));
}

function entriesOf(folder) {
  const reader = folder.createReader();
  const next = () => new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
  return (async () => {
    const all = [];
    for (;;) {
      const some = await next(); // A hundred at a time.
      if (!some.length) return all;
      all.push(...some);
    }
  })();
}

// Calls onFile(file, path) and onFolder(path) for what was dropped, with paths relative to the place.
// Must be called in the event itself: the items are gone after it.
export function dropped(transfer, onFile, onFolder) {
  const visit = async (entry) => {
    const path = entry.fullPath.slice(1);
    if (entry.isFile) {
      onFile(await new Promise((resolve, reject) => { entry.file(resolve, reject); }), path);
      return;
    }
    const below = await entriesOf(entry);
    if (!below.length) onFolder(path); // Others are made with their files.
    for (const each of below) await visit(each);
  };
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return Promise.all(entries.map(visit));
}
