// A table's rows, which follow a list.

import { element } from './dom.js';

const BATCH = 300; // Rows that are added at once: a folder may have thousands of entries.

export class Rows {
  // Each column has of(item), which is shown as text unless make(item) makes the content. A cell is
  // made anew only if of(item) has changed: whoever is about to press a button must find it there.
  // The element home gets the focus when the last row goes that had it.
  constructor(body, key, columns, home) {
    this.body = body;
    this.home = home;
    this.key = key;
    this.columns = columns;
    this.rows = new Map(); // By key; each has its row, and what its cells show.
    this.items = [];
    this.first = 0; // Only the items from here to the limit have rows.
    this.limit = BATCH;
    this.before = this.button('Show earlier', () => this.window(this.first - BATCH, this.limit));
    this.after = this.button('Show more', () => this.grow());
    const table = body.closest('.table');
    table.prepend(this.before);
    table.append(this.after);
    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) this.grow();
    }, { rootMargin: '600px' }).observe(this.after);
  }

  button(text, onclick) {
    return element('button', { type: 'button', className: 'more', hidden: true, onclick }, text);
  }

  // Shows the items; with fresh, from the first on.
  show(items, fresh = false) {
    this.items = items;
    if (fresh) this.window(0, BATCH);
    else this.window(Math.min(this.first, Math.max(0, items.length - BATCH)), this.limit);
  }

  grow() {
    if (this.limit < this.items.length) this.window(this.first, this.limit + BATCH);
  }

  // Shows the items from first to limit, at least a batch of them.
  window(first, limit) {
    this.first = Math.max(0, first);
    this.limit = Math.max(limit, this.first + BATCH);
    this.before.hidden = this.first === 0;
    this.after.hidden = this.items.length <= this.limit;
    const visible = this.items.slice(this.first, this.limit);
    const keys = new Set(visible.map(this.key));
    let lostAt = -1;
    for (const [key, { row }] of this.rows) {
      if (keys.has(key)) continue;
      if (row.contains(document.activeElement)) lostAt = row.sectionRowIndex;
      row.remove();
      this.rows.delete(key);
    }
    visible.forEach((item, index) => {
      const row = this.row(item);
      // Moved only if it must be: a row that is moved loses the focus.
      if (this.body.children[index] !== row) this.body.insertBefore(row, this.body.children[index] || null);
    });
    if (lostAt >= 0) this.focus(this.first + lostAt);
  }

  row(item) {
    const key = this.key(item);
    const known = this.rows.get(key) || this.add(key);
    this.columns.forEach(({ of, make }, index) => {
      const value = of(item);
      const print = JSON.stringify(value);
      if (known.prints[index] === print) return;
      known.prints[index] = print;
      const cell = known.row.children[index];
      const focused = cell.contains(document.activeElement);
      cell.replaceChildren(...(make ? [make(item)].flat() : [String(value)]));
      if (focused) this.enter(cell.querySelector('a, button') ? cell : known.row);
    });
    return known.row;
  }

  add(key) {
    const cells = this.columns.map(({ className = '', heads }) => element(
      heads ? 'th' : 'td', heads ? { className, scope: 'row' } : { className }));
    const known = { row: element('tr', {}, ...cells), prints: [] };
    known.row.dataset.key = key;
    this.rows.set(key, known);
    return known;
  }

  // Focuses the row of the item at an index, or of the last one.
  focus(index) {
    const place = Math.max(0, Math.min(index, this.items.length - 1));
    if (place < this.first || place >= this.limit) this.window(place - BATCH / 2, 0);
    this.enter(this.body.children[place - this.first]);
  }

  // Focuses the first link or button in a row or cell, or home if there is none.
  enter(place) {
    (place?.querySelector('a, button') || this.home).focus();
  }

  // Returns the row of an item, if it has one.
  of(item) {
    return this.rows.get(this.key(item))?.row;
  }

  // Returns the index of the item in whose row an element is, or -1.
  at(place) {
    const row = place.closest('tbody tr');
    return row ? row.sectionRowIndex + this.first : -1;
  }
}

// A button in a row. Its label has the row's name: the same word is in each row.
export function rowButton(text, name, onclick, className = '') {
  const made = element('button', { type: 'button', className, onclick }, text);
  made.setAttribute('aria-label', `${text} ${name}`);
  return made;
}
