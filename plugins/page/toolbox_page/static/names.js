// File names and paths. A name may hold any bytes but "/" and NUL.

import { element } from './dom.js';

const ESCAPE = 0x10f700; // The service writes a byte that isn't UTF-8 as this code point plus the byte.

// What has no shape of its own, or changes that of what follows: control characters, separators of
// lines, marks of direction, and escaped bytes.
const ODD = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}\u200b\u2060\ufeff\u{10f780}-\u{10f7ff}]/gu;
const LETTERS = { '\n': 'n', '\r': 'r', '\t': 't' };

function escaped(character) {
  const code = character.codePointAt(0);
  if (code >= ESCAPE) return `\\x${(code - ESCAPE).toString(16).toUpperCase()}`;
  return `\\${LETTERS[character] || `u{${code.toString(16).toUpperCase()}}`}`;
}

// A name as one line of text.
export function plain(name) {
  return name.replace(ODD, escaped);
}

// A name as an element, in which escapes differ from the same characters in the name itself.
export function shown(name) {
  const parts = [];
  let end = 0;
  for (const { 0: odd, index } of name.matchAll(ODD)) {
    parts.push(name.slice(end, index), element('span', { className: 'odd' }, escaped(odd)));
    end = index + odd.length;
  }
  // Isolated: a name that is written from right to left leaves the rest of the line alone.
  return element('bdi', { className: 'name' }, ...parts, name.slice(end));
}

// The name for a file that the browser saves, where those characters would be lost or mislead.
export function saved(name) {
  return plain(name).replace(/[\\{}]/g, '_');
}

export function join(folder, name) {
  return `${folder.replace(/\/$/, '')}/${name}`;
}

export function parent(path) {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}

export function base(path) {
  return path.slice(path.lastIndexOf('/') + 1) || path;
}

// A part of a URL. Half a surrogate pair, which a person can type but no URL can hold, is replaced.
export function escapedPart(text) {
  return encodeURIComponent(text.replace(/\p{Cs}/gu, '\ufffd'));
}
