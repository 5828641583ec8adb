// The page: asks for the token once, then shows the part that the address names.

import { Failure, read, remember } from './api.js';
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

let version = '';
let hasTerminals = false;

function show() {
  const wanted = location.hash.slice(1);
  const part = PARTS.includes(wanted) ? wanted : 'status';
  for (const each of PARTS) byId(each).hidden = each !== part;
  for (const link of byId('nav').children) {
    if (link.hash === `#${part}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  if (part === 'status') status.start(version);
  if (part === 'terminal') terminal.start(hasTerminals);
  if (part === 'reference') reference.start();
}

// Whether the service lets this page in, with the token it has been given.
async function enter() {
  const { plugins } = await read('plugins');
  const { info } = await read('openapi.json');
  version = info.version;
  hasTerminals = plugins.some((each) => each.group === 'process' && each.status === 'enabled');
  byId('login').hidden = true;
  byId('nav').hidden = false;
  status.showGroups(plugins);
  show();
  window.addEventListener('hashchange', show);
}

async function login(event) {
  event.preventDefault();
  const field = byId('token');
  byId('login-error').textContent = '';
  remember(field.value.trim());
  try {
    await enter();
    field.value = '';
    byId('lock').hidden = false;
  } catch (error) {
    remember('');
    byId('login-error').textContent = error.status === 401
      ? 'That is not the token.' : `The service doesn't answer as it should: ${error.message}`;
    field.select();
  }
}

byId('login-form').addEventListener('submit', login);
byId('lock').addEventListener('click', () => location.reload());

// Where no token is needed, none is asked for.
enter().catch((error) => {
  byId('login').hidden = false;
  byId('token').focus();
  if (!(error instanceof Failure && error.status === 401)) {
    byId('login-error').textContent = `The service doesn't answer as it should: ${error.message}`;
  }
});
