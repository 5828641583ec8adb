// The page: asks for the token once, then shows the part that the address names.

import { Failure, knowsToken, read, remember } from './api.js';
import { byId } from './dom.js';
import * as reference from './reference.js';
import * as status from './status.js';
import * as terminal from './terminal.js';

const PARTS = ['status', 'terminal', 'reference'];

// The terminal makes style sheets; with the page's nonce the browser takes them.
const { nonce } = document.querySelector('script[nonce]');
const create = document.createElement.bind(document);
document.createElement = (name, options) => {
  const made = create(name, options);
  if (name === 'style') made.nonce = nonce;
  return made;
};

const NAME = document.title;

let version = '';
let hasTerminals = false;
let inside = false;

function showTitle() {
  const title = byId('terminal').hidden ? '' : byId('terminal').dataset.title;
  document.title = title ? `${title} \u2014 ${NAME}` : NAME;
}

function show() {
  const wanted = location.hash.slice(1);
  const part = PARTS.includes(wanted) ? wanted : 'status';
  for (const each of PARTS) byId(each).hidden = each !== part;
  for (const link of byId('nav').children) {
    if (link.hash === `#${part}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  showTitle();
  status.start(version);
  if (part === 'terminal') terminal.start(hasTerminals);
  if (part === 'reference') reference.start();
}

// The address that the service prints at its start has the token that it made up after "#", which
// no server and no log sees. It is taken out at once: a copied address doesn't give it away.
function takeToken() {
  const [, given] = location.hash.match(/^#token=(.*)$/) || [];
  if (given === undefined) return false;
  history.replaceState(null, '', location.pathname + location.search);
  remember(unescaped(given));
  return true;
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Whether the service lets this page in, with the token it has been given.
async function enter() {
  const { plugins } = await read('plugins');
  const { info } = await read('openapi.json');
  version = info.version;
  hasTerminals = plugins.some((each) => each.group === 'process' && each.status === 'enabled');
  inside = true;
  byId('login').hidden = true;
  byId('nav').hidden = false;
  byId('lock').hidden = !knowsToken();
  status.showGroups(plugins);
  show();
}

// Ask for the token: there is none, or it is no longer the right one.
function askForToken() {
  inside = false;
  for (const each of [...PARTS, 'nav', 'lock']) byId(each).hidden = true;
  showTitle();
  byId('login').hidden = false;
  byId('token').focus();
}

async function login(event) {
  event.preventDefault();
  const field = byId('token');
  byId('login-error').textContent = '';
  remember(field.value.trim());
  try {
    await enter();
    field.value = '';
  } catch (error) {
    remember('');
    complain(error, 'That is not the token.');
    field.select();
  }
}

function complain(error, unauthorized) {
  byId('login-error').textContent = error instanceof Failure && error.status === 401
    ? unauthorized : `The service doesn't answer as it should: ${error.message}`;
}

// Where no token is needed, none is asked for.
async function begin() {
  const given = takeToken();
  try {
    await enter();
  } catch (error) {
    remember('');
    askForToken();
    complain(error, given ? 'The token in the address is not the right one.' : '');
  }
}

byId('login-form').addEventListener('submit', login);
byId('lock').addEventListener('click', () => location.reload());
document.addEventListener('titled', showTitle);
document.addEventListener('refused', () => {
  if (!inside) return;
  askForToken();
  byId('login-error').textContent = 'The token is no longer right.';
});
// The service is there again, and may have become another one.
document.addEventListener('returned', () => {
  if (inside) enter().catch(() => {});
});
window.addEventListener('hashchange', () => {
  if (location.hash.startsWith('#token=')) begin();
  else if (inside) show();
});
begin();
