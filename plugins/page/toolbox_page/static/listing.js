// A folder's entries: sorted, filtered, and followed by the keys.

import { byId, element } from './dom.js';
import { bytes, moment } from './format.js';
import { plain, shown } from './names.js';
import { Rows, rowButton } from './rows.js';

const KINDS = { d: 'folder', L: 'link', p: 'pipe', S: 'socket', D: 'device' };

// By the first letter of the mode, as "drwxr-xr-x" or "-rw-r--r--".
function kind({ mode, isDir }) {
  return isDir ? 'folder' : KINDS[mode[0]] || 'file';
}

const collator = new Intl.Collator(undefined, { numeric: true });

// Each order ends with the name's own, by which no two entries are the same.
const ORDERS = {
  name: (one, other) => collator.compare(one.name, other.name) || (one.name < other.name ? -1 : 1),
  size: (one, other) => one.size - other.size,
  modified: (one, other) => one.time - other.time,
};

export class Listing {
  // What can be done with an entry: address(path), fetchEntry(entry), rename(entry), remove(entry).
  constructor(actions) {
    this.actions = actions;
    this.entries = [];
    this.order = 'name';
    this.backwards = false;
    this.rows = new Rows(byId('files-rows'), ({ name }) => name, this.columns(), byId('upload'));
    byId('files-filter').addEventListener('input', () => this.render(true));
    byId('files-hidden').addEventListener('change', () => this.render());
    for (const button of document.querySelectorAll('#files-table [data-order]')) {
      button.addEventListener('click', () => this.sort(button.dataset.order));
    }
    byId('files-table').addEventListener('keydown', (event) => this.onKey(event));
  }

  columns() {
    const { address } = this.actions;
    return [
      {
        heads: true,
        of: (entry) => [entry.path, kind(entry)],
        make: (entry) => element('a', { href: address(entry.path), className: `entry ${kind(entry)}` }, shown(entry.name)),
      },
      {
        className: 'quiet size',
        of: (entry) => (entry.isDir ? '' : bytes(entry.size)),
      },
      { className: 'quiet time', of: ({ modifiedAt }) => moment(modifiedAt) },
      { className: 'quiet mode', of: ({ mode }) => mode },
      {
        of: (entry) => [entry.path, kind(entry)],
        make: (entry) => element('div', { className: 'actions' }, ...this.buttons(entry)),
      },
    ];
  }

  buttons({ name, isDir, mode }) {
    const called = plain(name);
    const current = () => this.entries.find((entry) => entry.name === name);
    const made = [];
    if (isDir || kind({ mode, isDir }) === 'file') {
      made.push(rowButton('Download', called, () => this.actions.fetchEntry(current())));
    }
    made.push(rowButton('Rename', called, () => this.actions.rename(current())));
    made.push(rowButton('Delete', called, () => this.actions.remove(current())));
    return made;
  }

  // Shows another folder, from its beginning.
  begin(path, entries) {
    if (this.path !== path) byId('files-filter').value = '';
    this.path = path;
    this.show(entries, true);
    byId('folder').scrollTop = 0;
  }

  show(entries, fresh = false) {
    this.entries = entries.map((entry) => ({ ...entry, time: Date.parse(entry.modifiedAt) || 0 }));
    this.render(fresh);
  }

  sort(order) {
    this.backwards = this.order === order && !this.backwards;
    this.order = order;
    this.render(true);
  }

  render(fresh = false) {
    const wanted = byId('files-filter').value.toLowerCase();
    const all = byId('files-hidden').checked;
    const unhidden = this.entries.filter(({ name }) => all || !name.startsWith('.'));
    const found = wanted ? unhidden.filter(({ name }) => plain(name).toLowerCase().includes(wanted)) : unhidden;
    const order = (one, other) => ORDERS[this.order](one, other) || ORDERS.name(one, other);
    const direction = this.backwards ? -1 : 1;
    // Folders first, in either direction.
    found.sort((one, other) => other.isDir - one.isDir || direction * order(one, other));
    this.rows.show(found, fresh);
    byId('files-table').hidden = found.length === 0;
    byId('files-none').hidden = found.length > 0;
    byId('files-none').textContent = wanted ? 'No name contains this.' : 'The folder is empty.';
    this.count(found.length, this.entries.length - unhidden.length);
    for (const button of document.querySelectorAll('#files-table [data-order]')) {
      const chosen = button.dataset.order === this.order;
      const head = button.closest('th');
      if (chosen) head.setAttribute('aria-sort', this.backwards ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
  }

  count(number, hidden) {
    const parts = [`${number} ${number === 1 ? 'entry' : 'entries'}`];
    if (hidden) parts.push(`${hidden} hidden`);
    byId('files-count').textContent = parts.join(', ');
  }

  // Focuses an entry by its name, if it is shown.
  focus(name) {
    const index = this.rows.items.findIndex((entry) => entry.name === name);
    if (index >= 0) this.rows.focus(index);
  }

  // Arrows go from entry to entry; F2 and Delete do what the buttons do.
  onKey(event) {
    const index = this.rows.at(event.target);
    if (index < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const entry = this.rows.items[index];
    const last = this.rows.items.length - 1;
    const steps = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: last, PageDown: index + 15, PageUp: index - 15 };
    if (event.key in steps) {
      this.rows.focus(steps[event.key]);
    } else if (event.key === 'F2') this.actions.rename(entry);
    else if (event.key === 'Delete') this.actions.remove(entry);
    else return;
    event.preventDefault();
  }
}
