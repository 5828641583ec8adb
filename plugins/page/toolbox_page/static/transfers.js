// Uploads and downloads under way: a list with their progress, each can be canceled.

import { words } from './api.js';
import { byId, element } from './dom.js';
import { bytes } from './format.js';
import { shown } from './names.js';

export class Transfer {
  // Cancelled by its signal. With a total of 0 it isn't known how much there is.
  constructor(verb, name, total) {
    this.controller = new AbortController();
    this.signal = this.controller.signal;
    this.total = total;
    this.bar = element('progress', { max: 1 });
    this.bar.setAttribute('aria-label', `${verb} of ${name}`);
    this.note = element('span', { className: 'quiet' }, 'waiting');
    this.buttons = element('span', { className: 'actions' });
    this.row = element('li', {},
      element('span', { className: 'transfer-name' }, `${verb} `, shown(name)), this.bar, this.note, this.buttons);
    this.row.dataset.name = name;
    this.offer({ Cancel: () => this.controller.abort() });
    byId('transfers').prepend(this.row);
    byId('transfers').hidden = false;
  }

  // Shows buttons by their texts, instead of those before.
  offer(actions) {
    const focused = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(...Object.entries(actions).map(([text, onclick]) => {
      const made = element('button', { type: 'button', onclick }, text);
      made.setAttribute('aria-label', `${text} ${this.row.dataset.name}`);
      return made;
    }));
    if (focused) this.buttons.firstChild?.focus();
  }

  progress(done) {
    if (this.total) this.bar.value = Math.min(1, done / this.total);
    this.note.textContent = this.total ? `${bytes(done)} of ${bytes(this.total)}` : bytes(done);
  }

  say(text, state = '') {
    this.note.textContent = text;
    this.row.dataset.state = state;
  }

  // Ends it; what has gone well needs no more of the user's time.
  finish() {
    this.bar.max = 1;
    this.bar.value = 1;
    this.say('done', 'done');
    this.offer({ Clear: () => this.remove() });
  }

  fail(error, actions = {}) {
    if (this.signal.aborted) {
      this.remove();
      return;
    }
    this.say(words(error), 'failed');
    this.offer({ ...actions, Clear: () => this.remove() });
  }

  remove() {
    const next = this.row.nextSibling || this.row.previousSibling;
    const focused = this.row.contains(document.activeElement);
    this.row.remove();
    byId('transfers').hidden = !byId('transfers').childElementCount;
    if (focused) (next?.querySelector('button') || byId('upload')).focus();
  }
}
