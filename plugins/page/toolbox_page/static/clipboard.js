// The clipboard, by keys and by programs (OSC 52 of xterm's control sequences).

let waiting = ''; // Text that a program has copied, until the browser allows it.

// Over plain http there is no clipboard API. This works, but only right after a key or a click.
function copyByEvent(text) {
  const write = (event) => {
    event.clipboardData.setData('text/plain', text);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener('copy', write, true);
  const done = document.execCommand('copy');
  document.removeEventListener('copy', write, true);
  return done;
}

// Copies a text; returns whether the browser allowed it.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByEvent(text);
  }
}

function decoded(base64) {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)));
  } catch {
    return '';
  }
}

function letter({ key, code }) {
  return (/^[a-z]$/i.test(key) ? key : code.replace('Key', '')).toLowerCase();
}

// Ctrl+V pastes and Ctrl+C copies the selection, with or without Shift.
function takesKey(term, event) {
  if (event.type !== 'keydown' || !event.ctrlKey || event.altKey || event.metaKey) return false;
  if (letter(event) === 'v') return true; // Left to the browser: only it may read the clipboard.
  if (letter(event) !== 'c' || !(event.shiftKey || term.hasSelection())) return false;
  event.preventDefault();
  if (term.hasSelection()) copy(term.getSelection());
  if (!event.shiftKey) term.clearSelection(); // The next Ctrl+C interrupts.
  return true;
}

// isLive() reports whether the terminal shows new output, rather than a replay of old output.
export function connectClipboard(term, screen, isLive) {
  term.attachCustomKeyEventHandler((event) => !takesKey(term, event));
  term.parser.registerOscHandler(52, (data) => {
    // A program may write the clipboard but never read it: "?" gets no reply.
    const text = isLive() ? decoded(data.slice(data.indexOf(';') + 1)) : '';
    if (text) copy(text).then((done) => { waiting = done ? '' : text; });
    return true;
  });
  for (const touch of ['keyup', 'pointerup']) {
    screen.addEventListener(touch, () => {
      if (waiting && copyByEvent(waiting)) waiting = '';
    }, true);
  }
}
