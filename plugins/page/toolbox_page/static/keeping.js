// The token, kept while a tab is loaded again, if its user wishes that. Kept in the tab's storage, which other
// than a cookie is never sent by the browser itself and is not shared with other ports of the host.

import { prefix } from './api.js';

const KEY = `toolbox token of ${prefix}/`; // Behind one origin there may be several services.

// Returns the token that was kept, or ''. A browser may refuse to store anything.
export function kept() {
  try {
    return sessionStorage.getItem(KEY) || '';
  } catch {
    return '';
  }
}

export function keep(token) {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // It is asked for again.
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Then there is none.
  }
}
