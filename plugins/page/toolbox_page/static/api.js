// Requests to the service. The token is in this module's memory; for where else it may be see keeping.js.

const base = new URL('.', location.href);

// The path prefix of the service: '' or '/my-sandbox'.
export const prefix = base.pathname.replace(/\/$/, '');

let token = '';

export function setToken(value) {
  token = value;
}

export function currentToken() {
  return token;
}

export class Failure extends Error {
  constructor(status, message, challenge, code) {
    super(message);
    this.status = status;
    this.code = code || '';
    this.challenge = challenge || ''; // The header WWW-Authenticate of a 401.
  }
}

export function authorize(headers) {
  if (token) headers.Authorization = `Bearer ${token}`;
  return headers;
}

// Returns the response to a request, whose body is JSON, or raw: a Blob that is sent unchanged. Throws a
// Failure for every error response; a 304, for a request with a condition, is none.
export async function request(path, { method = 'GET', body, raw, headers = {}, signal } = {}) {
  const type = raw ? 'application/octet-stream' : 'application/json';
  const hasBody = raw || body !== undefined;
  const response = await fetch(new URL(path, base), {
    method,
    headers: authorize({ ...(hasBody ? { 'Content-Type': type } : {}), ...headers }),
    body: raw || (hasBody ? JSON.stringify(body) : undefined),
    cache: 'no-store',
    credentials: 'same-origin',
    signal,
  });
  if (!response.ok && response.status !== 304) {
    const error = await response.json().catch(() => ({}));
    const challenge = response.headers.get('WWW-Authenticate');
    const failure = new Failure(response.status, error.message || response.statusText, challenge, error.code);
    if (response.status === 401) document.dispatchEvent(new CustomEvent('refused', { detail: failure }));
    throw failure;
  }
  return response;
}

export async function read(path, options) {
  return (await request(path, options)).json();
}

// An error in plain words. Requests that fail without a response have only a text for developers.
export function words(error) {
  if (error instanceof Failure) {
    const text = error.message || `The service responded with ${error.status}`;
    return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
  }
  if (error instanceof TypeError) return 'The service can\u2019t be reached.';
  return error.message;
}

// Shows an error, or with null that there is none, in an element. A 401 is shown by the form that
// asks for the token.
export function tell(place, error) {
  place.textContent = error && error.status !== 401 ? words(error) : '';
}

// Does something, and shows in an element what goes wrong; returns whether it went well.
export async function attempt(place, send) {
  tell(place, null);
  try {
    await send();
    return true;
  } catch (error) {
    tell(place, error);
    return false;
  }
}

// Resolves when the page has a token that the service accepts, after one that it refused.
export function entered(signal) {
  return new Promise((resolve, reject) => {
    document.addEventListener('entered', resolve, { once: true, signal });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

// Opens a WebSocket. A browser can't set headers on one, so the token is sent as a subprotocol,
// with the characters escaped that subprotocols can't have (RFC 9110, 5.6.2), and beside another one: the
// service accepts one of them, and never the token.
export function open(path, protocols = ['toolbox']) {
  const url = new URL(path, base);
  url.protocol = url.protocol.replace('http', 'ws');
  const escaped = encodeURIComponent(token)
    .replace(/[()]/g, (found) => `%${found.charCodeAt(0).toString(16)}`);
  const socket = new WebSocket(url, token ? [...protocols, `X-Toolbox-Token~${escaped}`] : protocols);
  socket.binaryType = 'arraybuffer';
  return socket;
}

// Closes a WebSocket, if there is one. One that is being opened is closed after that: browsers warn of it.
export function shut(socket) {
  if (socket?.readyState === WebSocket.CONNECTING) socket.addEventListener('open', () => socket.close());
  else socket?.close();
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
