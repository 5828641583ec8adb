// The keys that are pressed on a desktop by name; all others type what they type here.

const NAMED = {
  Enter: 'enter', Tab: 'tab', Escape: 'escape', Backspace: 'backspace', Delete: 'delete', Insert: 'insert',
  Home: 'home', End: 'end', PageUp: 'pageup', PageDown: 'pagedown', ContextMenu: 'menu', ' ': 'space',
  ArrowUp: 'up', ArrowDown: 'down', ArrowLeft: 'left', ArrowRight: 'right',
};

// Characters by the place of their key, for a layout whose own letters are others.
const PLACES = {
  Minus: '-', Equal: '=', BracketLeft: '[', BracketRight: ']', Backslash: '\\', Semicolon: ';',
  Quote: '\'', Backquote: '`', Comma: ',', Period: '.', Slash: '/',
};

export function modifiers(event) {
  return Object.entries({ ctrlKey: 'ctrl', altKey: 'alt', shiftKey: 'shift', metaKey: 'cmd' })
    .filter(([flag]) => event[flag]).map(([, name]) => name);
}

function isText({ key }) {
  return [...key].length === 1;
}

function character({ key, code }) {
  if (/^[a-z0-9]$/i.test(key)) return key.toLowerCase();
  return PLACES[code] || code.replace(/^(Key|Digit)(?=.$)/, '').toLowerCase();
}

// Returns key and modifiers of a chord for the desktop, or null for a key that types a text, composes
// one, or is a modifier alone.
export function chord(event) {
  const { key } = event;
  if (event.isComposing || event.getModifierState('AltGraph')) return null;
  const held = modifiers(event);
  if (NAMED[key] && (key !== ' ' || held.some((name) => name !== 'shift'))) return { key: NAMED[key], modifiers: held };
  if (/^F\d+$/.test(key)) return { key: key.toLowerCase(), modifiers: held };
  if (!isText(event) || key === ' ') return null;
  // With Option a Mac types other characters.
  const types = !event.ctrlKey && !event.metaKey && (!event.altKey || key > '\x7f');
  return types ? null : { key: character(event), modifiers: held };
}

// Ctrl+Shift+V and Shift+Insert paste the text of this machine; Ctrl+V is the desktop's.
export function pastes(event) {
  const held = modifiers(event).join('+');
  return (held === 'ctrl+shift' && event.code === 'KeyV') || (held === 'shift' && event.key === 'Insert');
}

// Tab is the desktop's, so that another key must lead out of it.
export function leaves(event) {
  return event.key === 'Escape' && modifiers(event).join('+') === 'ctrl+alt';
}
