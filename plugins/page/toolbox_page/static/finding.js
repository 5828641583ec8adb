// Finding text in a terminal and in what has scrolled away.

import { byId } from './dom.js';

export function connectFinding(term, screen, search) {
  const bar = byId('terminal-finding');
  const field = byId('terminal-text');

  // What is found is selected. Without the addon's decorations: with them it would search again, and
  // go on to another place, whenever there is output.
  function find(backwards) {
    const found = backwards ? search.findPrevious(field.value) : search.findNext(field.value);
    byId('terminal-found').textContent = found || !field.value ? '' : 'not found';
  }

  function open() {
    bar.hidden = false;
    field.focus();
    field.select();
  }

  function close() {
    bar.hidden = true;
    term.focus();
  }

  // From the last line upwards, as what was said last is looked for most.
  field.addEventListener('input', () => find(true));
  field.addEventListener('keydown', (event) => {
    if (event.isComposing || !['Enter', 'Escape'].includes(event.key)) return;
    event.preventDefault();
    if (event.key === 'Escape') close();
    else find(!event.shiftKey);
  });
  // Ctrl+F is the program's in the terminal, as Ctrl+C is.
  screen.addEventListener('keydown', (event) => {
    if (!(event.ctrlKey && event.shiftKey) || event.code !== 'KeyF') return;
    event.preventDefault();
    event.stopPropagation();
    open();
  }, true);
  byId('terminal-find').addEventListener('click', () => (bar.hidden ? open() : close()));
}
