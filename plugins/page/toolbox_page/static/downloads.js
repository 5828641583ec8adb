// Downloads. A link would need the token in its URL, so the page fetches and has the browser save.

import { request } from './api.js';
import { element } from './dom.js';
import { saved } from './names.js';
import { Transfer } from './transfers.js';

const PART = 8 * 1024 * 1024; // Bytes that are handed over to the browser, which may keep them on disk.
const KEPT = 60_000; // Milliseconds until it has surely begun to save.

async function collect(response, transfer) {
  const reader = response.body.getReader();
  const parts = [];
  let chunks = [];
  let size = 0;
  let received = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (value) {
      chunks.push(value);
      size += value.length;
      received += value.length;
    }
    if (size >= PART || (done && size)) {
      parts.push(new Blob(chunks));
      chunks = [];
      size = 0;
    }
    if (done) return new Blob(parts, { type: 'application/octet-stream' });
    transfer.progress(received);
  }
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element('a', { href: url, download: saved(name) }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT);
}

// Saves what the service sends for a path; total is its size, or 0.
export async function download(path, name, total) {
  const transfer = new Transfer('Download', name, total);
  try {
    const response = await request(path, { signal: transfer.signal });
    save(await collect(response, transfer), name);
    transfer.finish();
  } catch (error) {
    transfer.fail(error);
  }
}
