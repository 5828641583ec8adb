// How the page speaks to the service. The token is in this module's memory and nowhere else.

const base = new URL('.', location.href);

// The service's path, for whoever needs it whole: '' or '/my-sandbox'.
export const prefix = base.pathname.replace(/\/$/, '');

let token = '';

export function remember(given) {
  token = given;
}

export function knowsToken() {
  return token !== '';
}

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function authorize(headers) {
  if (token) headers.Authorization = `Bearer ${token}`;
  return headers;
}

// The answer to a request; throws a Failure for every answer that is an error.
export async function request(path, { method = 'GET', body } = {}) {
  const headers = authorize(body === undefined ? {} : { 'Content-Type': 'application/json' });
  const answer = await fetch(new URL(path, base), {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: 'no-store',
    credentials: 'same-origin',
  });
  if (!answer.ok) {
    if (answer.status === 401) document.dispatchEvent(new Event('refused'));
    const told = await answer.json().catch(() => ({}));
    throw new Failure(answer.status, told.message || answer.statusText);
  }
  return answer;
}

export async function read(path, options) {
  return (await request(path, options)).json();
}

// A WebSocket. A browser can't set headers on one, so the token goes as a subprotocol, with the
// characters escaped that those don't have (RFC 9110, 5.6.2).
export function open(path, protocols) {
  const url = new URL(path, base);
  url.protocol = url.protocol.replace('http', 'ws');
  const escaped = encodeURIComponent(token)
    .replace(/[()]/g, (found) => `%${found.charCodeAt(0).toString(16)}`);
  const socket = new WebSocket(url, token ? [...protocols, `X-Toolbox-Token~${escaped}`] : protocols);
  socket.binaryType = 'arraybuffer';
  return socket;
}
