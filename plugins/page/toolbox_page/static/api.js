// Requests to the service. The token is in this module's memory and nowhere else.

const base = new URL('.', location.href);

// The path prefix of the service: '' or '/my-sandbox'.
export const prefix = base.pathname.replace(/\/$/, '');

let token = '';

export function setToken(value) {
  token = value;
}

export function hasToken() {
  return token !== '';
}

export class Failure extends Error {
  constructor(status, message, challenge) {
    super(message);
    this.status = status;
    this.challenge = challenge || ''; // The header WWW-Authenticate of a 401.
  }
}

export function authorize(headers) {
  if (token) headers.Authorization = `Bearer ${token}`;
  return headers;
}

// Returns the response to a request; throws a Failure for every error response.
export async function request(path, { method = 'GET', body } = {}) {
  const headers = authorize(body === undefined ? {} : { 'Content-Type': 'application/json' });
  const response = await fetch(new URL(path, base), {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: 'no-store',
    credentials: 'same-origin',
  });
  if (!response.ok) {
    const error = await response.json().catch(() => ({}));
    const challenge = response.headers.get('WWW-Authenticate');
    const failure = new Failure(response.status, error.message || response.statusText, challenge);
    if (response.status === 401) document.dispatchEvent(new CustomEvent('refused', { detail: failure }));
    throw failure;
  }
  return response;
}

export async function read(path, options) {
  return (await request(path, options)).json();
}

// Opens a WebSocket. A browser can't set headers on one, so the token is sent as a subprotocol,
// with the characters escaped that subprotocols can't have (RFC 9110, 5.6.2).
export function open(path, protocols) {
  const url = new URL(path, base);
  url.protocol = url.protocol.replace('http', 'ws');
  const escaped = encodeURIComponent(token)
    .replace(/[()]/g, (found) => `%${found.charCodeAt(0).toString(16)}`);
  const socket = new WebSocket(url, token ? [...protocols, `X-Toolbox-Token~${escaped}`] : protocols);
  socket.binaryType = 'arraybuffer';
  return socket;
}

// Opens a WebSocket of a protocol that takes the credential in a message.
export function openBare(path) {
  const url = new URL(path, base);
  url.protocol = url.protocol.replace('http', 'ws');
  return new WebSocket(url);
}

export function messageCredential() {
  return { token };
}
