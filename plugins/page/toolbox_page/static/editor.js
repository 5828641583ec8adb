// The text of a file. It is saved only over what was read: who has changed it meanwhile loses nothing.

import { Failure, request, tell } from './api.js';
import { byId } from './dom.js';
import { ask } from './dialogs.js';
import { download } from './downloads.js';
import { bytes } from './format.js';
import { joined, split } from './lines.js';
import { base, escapedPart, parent, shown } from './names.js';

const LARGEST = 2 * 1024 * 1024; // Bytes; with more the browser's text field gets slow.

const drafts = new Map(); // What isn't saved, by path: it is kept while another file is shown.
let draft = null; // The one that is shown.
let round = 0; // Counts what was shown: a late response is not shown any more.
let shownInfo = null; // The metadata of the file that is shown, also if it can't be edited.

const field = () => byId('editor-text');

function showState() {
  const changed = draft !== null && draft.text !== draft.saved;
  byId('editor-state').textContent = changed ? 'not saved' : '';
  byId('editor-save').disabled = !changed;
  if (draft === null) return;
  if (changed) drafts.set(draft.path, draft);
  else drafts.delete(draft.path);
}

// Why a file isn't opened as text, or ''.
function reason(content, size) {
  if (size > LARGEST) return `The file has ${bytes(size)}, and at most ${bytes(LARGEST)} can be edited here.`;
  if (content.includes(0)) return 'This is not text: the file contains NUL bytes.';
  return '';
}

function decoded(content) {
  // A mark of byte order stays, so that saving keeps it.
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
}

// Reads the file; returns a draft of it, or throws why not.
async function load(info) {
  const path = `files/download?path=${escapedPart(info.path)}`;
  if (info.size > LARGEST) throw new Error(reason([], info.size));
  const response = await request(path);
  const content = new Uint8Array(await response.arrayBuffer());
  const why = reason(content, content.length);
  if (why) throw new Error(why);
  let whole = '';
  try {
    whole = decoded(content);
  } catch {
    throw new Error('This is not text in UTF-8: saving would damage it.');
  }
  // A text field has only one kind of line ending.
  const { text, endings } = split(whole);
  return { path: info.path, info, text, saved: text, endings, etag: response.headers.get('ETag') };
}

function fill(opened) {
  draft = opened;
  field().hidden = false;
  field().value = opened.text;
  field().setSelectionRange(0, 0);
  field().scrollTop = 0;
  byId('editor-size').textContent = bytes(new Blob([joined(opened.text, opened.text, opened.endings)]).size);
  showState();
}

async function open(info) {
  draft = null;
  field().hidden = true;
  byId('editor-size').textContent = bytes(info.size);
  byId('editor-why').textContent = '';
  tell(byId('editor-error'), null);
  showState();
  const now = (round += 1);
  try {
    const opened = await load(info);
    if (round === now) fill(opened);
  } catch (error) {
    if (round !== now) return;
    if (error instanceof Failure || error instanceof TypeError) tell(byId('editor-error'), error);
    else byId('editor-why').textContent = `${error.message} You can download it.`;
  }
}

// Shows a file, by its metadata, or what was written into it here and isn't saved.
export function show(info) {
  round += 1;
  shownInfo = info;
  byId('editor-name').replaceChildren(shown(base(info.path)));
  byId('editor-close').href = `#files/${escapedPart(parent(info.path))}`;
  byId('editor-text').setAttribute('aria-label', `Text of ${base(info.path)}`);
  const kept = drafts.get(info.path);
  byId('editor-why').textContent = '';
  tell(byId('editor-error'), null);
  if (kept) fill(kept);
  else open(info);
}

async function store(saving, conditions) {
  const text = joined(saving.text, saving.saved, saving.endings);
  const response = await request(`files/upload-v2?path=${escapedPart(saving.path)}`, {
    method: 'POST', raw: new Blob([text]), headers: conditions,
  });
  const sent = split(text);
  Object.assign(saving, { saved: sent.text, endings: sent.endings, etag: response.headers.get('ETag') });
  if (draft === saving) byId('editor-size').textContent = bytes(new Blob([text]).size);
  else if (saving.text === saving.saved) drafts.delete(saving.path);
}

async function save() {
  const saving = draft;
  if (!saving || saving.text === saving.saved) return;
  tell(byId('editor-error'), null);
  byId('editor-save').disabled = true;
  byId('editor-state').textContent = 'saving\u2026';
  try {
    await store(saving, saving.etag ? { 'If-Match': saving.etag } : {});
  } catch (error) {
    if (error instanceof Failure && error.status === 412) await settle(saving);
    else tell(byId('editor-error'), error);
  }
  if (draft === saving) showState();
}

// The file is another one than that which was read.
async function settle(saving) {
  const { choice } = await ask({
    title: 'The file has changed',
    text: 'Since you opened it, the file was changed or deleted by someone else. Overwriting loses that change, '
      + 'reloading loses yours. Cancel to keep your text here for now.',
    choices: [
      { text: 'Reload', value: 'reload', kind: 'danger' }, { text: 'Overwrite', value: 'overwrite', kind: 'danger' },
    ],
  });
  if (choice === 'reload') await reload(saving);
  if (choice !== 'overwrite') return;
  try {
    await store(saving, {});
  } catch (error) {
    tell(byId('editor-error'), error);
  }
}

async function reload(from) {
  drafts.delete(from.path);
  if (draft === from) await open(from.info);
}

async function reloadUnlessLost() {
  if (!draft) {
    open(shownInfo);
    return;
  }
  const asking = draft;
  if (asking.text !== asking.saved) {
    const { choice } = await ask({
      title: 'Discard your changes?',
      text: 'The file is read again.',
      choices: [{ text: 'Discard', value: 'discard', kind: 'danger' }],
    });
    if (!choice) return;
  }
  reload(asking);
}

export function connect() {
  field().addEventListener('input', () => {
    if (!draft) return;
    draft.text = field().value;
    showState();
  });
  byId('editor').addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    event.preventDefault(); // The browser would save the page.
    save();
  });
  byId('editor-save').addEventListener('click', save);
  byId('editor-reload').addEventListener('click', reloadUnlessLost);
  byId('editor-download').addEventListener('click', () => {
    const { path, size } = shownInfo;
    download(`files/download?path=${escapedPart(path)}`, base(path), size);
  });
  window.addEventListener('beforeunload', (event) => { if (drafts.size) event.preventDefault(); });
}
