// Files: folders are listed and followed, and text is edited.

import { attempt, open, read, request, shut, tell } from './api.js';
import { byId, element } from './dom.js';
import { ask, confirmed } from './dialogs.js';
import { download } from './downloads.js';
import * as editor from './editor.js';
import { Listing } from './listing.js';
import { base, escapedPart, join, parent, plain, shown } from './names.js';
import { dropped, upload } from './uploads.js';

const PAUSE = 500; // Milliseconds between two looks at a folder in which much happens.

let listing = null;
let folder = null; // The path of the one that is shown.
let follower = null; // The WebSocket that tells of its changes.
let asked = 0; // Counts what was asked for: a late response is not shown any more.
let due = 0;

const query = (path) => `path=${escapedPart(path)}`;

export const address = (path) => `#files/${escapedPart(path)}`;

function crumbs(path) {
  const links = [element('a', { href: address('/') }, '/')];
  let here = '';
  for (const name of path.split('/').filter(Boolean)) {
    here = `${here}/${name}`;
    links.push(element('a', { href: address(here) }, shown(name)));
  }
  links.at(-1).setAttribute('aria-current', 'page');
  byId('files-path').replaceChildren(...links.map((link) => element('li', {}, link)));
  byId('files-path').lastChild.scrollIntoView({ block: 'nearest', inline: 'end' });
  byId('files-up').href = address(parent(path));
  byId('files-up').toggleAttribute('inert', path === '/');
}

function showPart(part) {
  for (const id of ['folder', 'editor']) byId(id).hidden = id !== part;
}

// Lists the folder again, if nothing else is shown by then.
async function refresh() {
  clearTimeout(due);
  due = 0;
  const wanted = folder;
  if (wanted === null) return;
  try {
    const entries = await read(`files?${query(wanted)}`);
    if (wanted !== folder) return;
    listing.show(entries);
    tell(byId('files-error'), null);
  } catch (error) {
    if (wanted === folder) tell(byId('files-error'), error);
  }
}

function refreshSoon() {
  if (!due) due = setTimeout(refresh, PAUSE);
}

// Has the service tell of changes. Where it can't, as on network file systems, there is the button.
function follow(path) {
  shut(follower);
  const socket = open(`x/files/watch?${query(path)}`);
  follower = socket;
  // What has changed between the listing and now is in no message.
  socket.onopen = () => { if (socket === follower) refresh(); };
  socket.onmessage = () => { if (socket === follower) refreshSoon(); };
}

function showFolder(path, entries) {
  folder = path;
  showPart('folder');
  listing.begin(path, entries);
  follow(path);
}

// Does something in the folder, then shows what has become of it.
function act(method, path) {
  return attempt(byId('files-error'), async () => {
    await request(path, { method });
    await refresh();
  });
}

function nameProblem(name) {
  if (!name) return 'The name is empty.';
  if (name === '.' || name === '..') return 'This name has another meaning.';
  return '';
}

function newNameProblem(name) {
  return nameProblem(name) || (name.includes('/') ? 'A name can\u2019t contain a slash.' : '');
}

async function makeFolder() {
  const { choice, text } = await ask({
    title: 'New folder', label: 'Name', choices: [{ text: 'Create', value: 'yes', kind: 'primary' }], check: newNameProblem,
  });
  if (!choice) return;
  if (await act('POST', `files/folder?${query(join(folder, text))}&mode=0755`)) listing.focus(text);
}

async function makeFile() {
  const { choice, text } = await ask({
    title: 'New file', label: 'Name', choices: [{ text: 'Create', value: 'yes', kind: 'primary' }], check: newNameProblem,
  });
  if (!choice) return;
  const path = join(folder, text);
  await attempt(byId('files-error'), async () => {
    const headers = { 'If-None-Match': '*' };
    await request(`files/upload-v2?${query(path)}`, { method: 'POST', raw: new Blob([]), headers });
    location.hash = address(path);
  });
}

async function rename({ name, path }) {
  const { choice, text } = await ask({
    title: ['Rename ', shown(name)],
    label: 'New name, or the path to move it to',
    value: name,
    choices: [{ text: 'Rename', value: 'yes', kind: 'primary' }],
    check: nameProblem,
  });
  if (!choice || text === name) return;
  const place = parent(path);
  const target = text.startsWith('/') ? text : join(place, text);
  const url = `files/move?source=${escapedPart(path)}&destination=${escapedPart(target)}`;
  if (await act('POST', url)) listing.focus(text);
}

async function remove({ name, path, isDir }) {
  const question = {
    title: ['Delete ', shown(name), '?'],
    text: isDir ? 'The folder is deleted with everything in it.' : 'The file is lost.',
  };
  if (await confirmed(question, 'Delete')) act('DELETE', `files?${query(path)}&recursive=${isDir}`);
}

function fetchEntry({ name, path, isDir, size }) {
  if (isDir) download(`x/files/archive?${query(path)}&format=tar.gz`, `${name}.tar.gz`, 0);
  else download(`files/download?${query(path)}`, name, size);
}

function take(file, path) {
  upload(file, join(folder, path), path, refreshSoon);
}

function takeDrop(event) {
  event.preventDefault();
  byId('folder').classList.remove('dropping');
  const place = folder;
  const onFile = (file, path) => upload(file, join(place, path), path, refreshSoon);
  const onFolder = (path) => act('POST', `files/folder?${query(join(place, path))}&mode=0755`);
  dropped(event.dataTransfer, onFile, onFolder).catch((error) => tell(byId('files-error'), error));
}

function connectDrop() {
  const place = byId('folder');
  const carriesFiles = (event) => event.dataTransfer.types.includes('Files');
  place.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    place.classList.add('dropping');
  });
  place.addEventListener('dragleave', (event) => {
    if (!place.contains(event.relatedTarget)) place.classList.remove('dropping');
  });
  place.addEventListener('drop', (event) => { if (carriesFiles(event)) takeDrop(event); });
}

function begin() {
  listing = new Listing({ address, fetchEntry, rename, remove });
  connectDrop();
  byId('upload').addEventListener('click', () => byId('upload-files').click());
  byId('upload-files').addEventListener('change', ({ target }) => {
    for (const file of target.files) take(file, file.name);
    target.value = ''; // The same file may be chosen once more.
  });
  byId('folder-new').addEventListener('click', makeFolder);
  byId('file-new').addEventListener('click', makeFile);
  byId('folder-refresh').addEventListener('click', refresh);
  byId('folder-download').addEventListener('click', () => fetchEntry({ name: plain(base(folder)), path: folder, isDir: true }));
  editor.connect();
}

// Shows a folder or a file; with an empty path, the service's working directory.
export async function start(path) {
  if (!listing) begin();
  const round = (asked += 1);
  leave();
  tell(byId('files-error'), null);
  byId('files').setAttribute('aria-busy', 'true');
  try {
    const info = await read(`files/info?${query(path || '.')}`);
    const entries = info.isDir ? await read(`files?${query(info.path)}`) : null;
    if (round !== asked) return;
    crumbs(info.path);
    if (entries) showFolder(info.path, entries);
    else {
      showPart('editor');
      editor.show(info);
    }
  } catch (error) {
    if (round !== asked) return;
    crumbs(path || '/');
    showPart('');
    tell(byId('files-error'), error);
  }
  if (round === asked) byId('files').removeAttribute('aria-busy');
}

export function leave() {
  folder = null;
  clearTimeout(due);
  due = 0;
  shut(follower);
  follower = null;
}
