// The clipboard: by keys, and written by programs (OSC 52 of xterm's control sequences).

let waiting = ''; // What a program has copied, until the browser lets us.

// Over plain http there is no clipboard API, only this, and only just after a key or a click.
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

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByEvent(text);
  }
}

function decoded(base64) {
  try {
    return new TextDecoder().decode(Uint8Array.from(atob(base64), (each) => each.charCodeAt(0)));
  } catch {
    return '';
  }
}

function letter({ key, code }) {
  return (/^[a-z]$/i.test(key) ? key : code.replace('Key', '')).toLowerCase();
}

// Ctrl+V pastes, Ctrl+C copies what is selected, and both do with Shift.
function takesKey(term, event) {
  if (event.type !== 'keydown' || !event.ctrlKey || event.altKey || event.metaKey) return false;
  if (letter(event) === 'v') return true; // Left to the browser, which alone may read it.
  if (letter(event) !== 'c' || !(event.shiftKey || term.hasSelection())) return false;
  event.preventDefault();
  if (term.hasSelection()) copy(term.getSelection());
  if (!event.shiftKey) term.clearSelection(); // The next Ctrl+C interrupts.
  return true;
}

// isLive() tells whether what the terminal shows is new, not what it showed long ago once more.
export function connectClipboard(term, screen, isLive) {
  term.attachCustomKeyEventHandler((event) => !takesKey(term, event));
  term.parser.registerOscHandler(52, (data) => {
    // A program may write the clipboard, and never read it: "?" is left without an answer.
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
