// The page: asks for the token once, then shows the part that the URL names.

import { Failure, currentToken, read, setToken } from './api.js';
import * as desktop from './desktop.js';
import { byId } from './dom.js';
import * as files from './files.js';
import { forget, keep, kept } from './keeping.js';
import * as jobs from './jobs.js';
import * as reference from './reference.js';
import * as sandboxes from './sandboxes.js';
import * as services from './services.js';
import * as status from './status.js';
import * as terminal from './terminal.js';

const PARTS = ['status', 'sandboxes', 'terminal', 'desktop', 'jobs', 'files', 'services', 'reference'];

// Parts that are only there where the service has the operation, each with what shows one of its things.
const VIEWS = {
  desktop: { view: desktop, operation: '/x/computeruse/screen' },
  jobs: { view: jobs, operation: '/x/jobs' },
  files: { view: files, operation: '/files' },
  services: { view: services, operation: '/x/services' },
};

// The terminal makes style sheets; the browser accepts them if they have the page's nonce.
const { nonce } = document.querySelector('script[nonce]');
const create = document.createElement.bind(document);
document.createElement = (name, options) => {
  const created = create(name, options);
  if (name === 'style') created.nonce = nonce;
  return created;
};

const NAME = document.title;

let version = '';
let hasTerminals = false;
let hasFleet = false;
let operations = {}; // By path, as the description of the API has them.
let inside = false;

function currentLink() {
  return byId('nav').querySelector('[aria-current]');
}

// What the terminal's program has set, or the part; the service's name alone for its status.
function showTitle() {
  const set = byId('terminal').hidden ? '' : byId('terminal').dataset.title;
  const part = !inside || currentLink()?.hash === '#status' ? '' : currentLink()?.textContent;
  document.title = set || part ? `${set || part} \u2014 ${NAME}` : NAME;
}

// On a phone the links are scrolled.
function showLink() {
  currentLink()?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
}

function isThere(part) {
  if (part === 'sandboxes') return hasFleet;
  return part in VIEWS ? VIEWS[part].operation in operations : PARTS.includes(part);
}

// The part that the URL names, and the thing in it: "#terminal/ID" is a terminal in a sandbox of the
// fleet, "#jobs/ID" a job, "#files/PATH" a file.
function wanted() {
  const [, part, id] = /^#([^/]*)\/?(.*)$/s.exec(location.hash) || ['', '', ''];
  if (!isThere(part)) return ['status', part];
  if (part === 'terminal' && !hasFleet) return [part, ''];
  return [part, unescaped(id)];
}

// Tells of a part that was asked for, as by a bookmark, and is not there.
function showAbsent(part) {
  const link = byId(`${part}-link`);
  byId('absent').hidden = !link;
  if (link) byId('absent').textContent = `${link.textContent}: the group for this is not enabled.`;
}

function show() {
  const [part, thing] = wanted();
  const sandbox = part === 'terminal' ? thing : '';
  for (const id of PARTS) byId(id).hidden = id !== part;
  for (const [name, { view }] of Object.entries(VIEWS)) {
    if (name === part) view.start(thing);
    else view.leave();
  }
  const near = sandbox ? 'sandboxes' : part;
  for (const link of byId('nav').children) {
    if (link.hash === `#${near}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  showLink();
  showTitle();
  showAbsent(part === 'status' ? thing : '');
  status.start(version);
  if (part === 'sandboxes') sandboxes.start();
  if (part === 'terminal') terminal.start(hasTerminals || sandbox !== '', sandbox);
  if (part === 'reference') reference.start();
}

// The URL that the service prints when it starts has the generated token after "#", which reaches
// no server and no log. It is removed at once, so that a copied URL doesn't give it away.
function takeToken() {
  const [, escaped] = location.hash.match(/^#token=(.*)$/) || [];
  if (escaped === undefined) return false;
  history.replaceState(null, '', location.pathname + location.search);
  setToken(unescaped(escaped));
  return true;
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Signs in with the token the page has; throws a Failure if the service refuses.
async function enter() {
  const { plugins } = await read('plugins');
  const { info, paths } = await read('openapi.json');
  version = info.version;
  operations = paths;
  const enabled = plugins.filter((plugin) => plugin.status === 'enabled');
  hasTerminals = enabled.some((plugin) => plugin.group === 'process');
  // The backend "single" makes none: the service is the only sandbox, which the page shows anyway.
  hasFleet = enabled.some((plugin) => plugin.group === 'fleet' && plugin.backend !== 'single');
  inside = true;
  byId('login').hidden = true;
  byId('nav').hidden = false;
  for (const part of ['sandboxes', ...Object.keys(VIEWS)]) byId(`${part}-link`).hidden = !isThere(part);
  byId('lock').hidden = byId('keep-part').hidden = !currentToken();
  if (kept()) keep(currentToken());
  byId('keep').checked = kept() !== '';
  status.showGroups(plugins);
  show();
  document.dispatchEvent(new Event('entered'));
}

// Asks for the token, or tells what to do where it is not a token that the service wants: then the
// response says so, and the page can only show it.
function askForCredential(error) {
  inside = false;
  for (const id of [...PARTS, 'nav', 'lock']) byId(id).hidden = true;
  for (const { view } of Object.values(VIEWS)) view.leave();
  if (byId('question').open) byId('question').close('');
  showTitle();
  byId('login').hidden = false;
  const takesToken = error.status !== 401 || /^bearer\b/i.test(error.challenge);
  byId('login-form').hidden = !takesToken;
  byId('login-instruction').hidden = takesToken;
  byId('login-instruction').textContent = takesToken ? '' : error.message;
  if (takesToken) byId('token').focus();
}

// Has the token no more, nor keeps it if the service refuses it.
function drop(error) {
  setToken('');
  if (error.status === 401) forget();
}

async function login(event) {
  event.preventDefault();
  const field = byId('token');
  byId('login-error').textContent = '';
  setToken(field.value.trim());
  try {
    await enter();
    field.value = '';
    if (byId('token-keep').checked) byId('keep').click();
  } catch (error) {
    drop(error);
    showError(error, 'Invalid token.');
    field.select();
  }
}

function showError(error, unauthorized) {
  byId('login-error').textContent = error instanceof Failure && error.status === 401
    ? unauthorized : `Unexpected response from the service: ${error.message}`;
}

// Where no credential is required, none is asked for.
async function begin() {
  const wasInUrl = takeToken();
  if (!wasInUrl) setToken(kept());
  try {
    await enter();
  } catch (error) {
    const refused = wasInUrl ? 'The token in the URL is invalid.' : currentToken() && 'The token is no longer valid.';
    drop(error);
    askForCredential(error);
    showError(error, refused);
  }
}

byId('login-form').addEventListener('submit', login);
byId('lock').addEventListener('click', () => {
  forget();
  location.reload();
});
byId('keep').addEventListener('change', ({ target }) => {
  if (target.checked) keep(currentToken());
  else forget();
});
document.addEventListener('titled', showTitle);
new ResizeObserver(showLink).observe(byId('nav'));
document.addEventListener('refused', ({ detail }) => {
  if (!inside) return;
  forget();
  askForCredential(detail);
  byId('login-error').textContent = 'The token is no longer valid.';
});
// The service can be reached again. It may have been replaced by another one.
document.addEventListener('returned', () => {
  if (inside) enter().catch(() => {});
});
window.addEventListener('hashchange', () => {
  if (location.hash.startsWith('#token=')) begin();
  else if (inside) show();
});
begin();
