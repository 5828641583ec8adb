// What is done with mouse and keyboard, sent to the desktop one after the other.

import { request } from './api.js';

// Joins an action to the one before it, if they are one for the desktop; returns null if not.
function joined(before, { path, body }) {
  if (before?.path !== path) return null;
  if (path === 'mouse/move') return { path, body };
  if (path === 'keyboard/type') return { path, body: { text: before.body.text + body.text } };
  if (path !== 'mouse/scroll' || before.body.direction !== body.direction
    || String(before.body.modifiers) !== String(body.modifiers)) return null;
  return { path, body: { ...body, amount: before.body.amount + body.amount } };
}

export class Inputs {
  // told(error) gets what went wrong, or null when something went well.
  constructor(told) {
    this.told = told;
    this.waiting = [];
    this.isSending = false;
  }

  push(path, body) {
    const both = joined(this.waiting.at(-1), { path, body });
    if (both) this.waiting[this.waiting.length - 1] = both;
    else this.waiting.push({ path, body });
    if (!this.isSending) this.send();
  }

  isIdle() {
    return !this.waiting.length;
  }

  async send() {
    this.isSending = true;
    while (this.waiting.length) {
      const { path, body } = this.waiting.shift();
      try {
        await request(`computeruse/${path}`, { method: 'POST', body });
        this.told(null);
      } catch (error) {
        this.waiting = []; // Meant for what isn't there.
        this.told(error);
      }
    }
    this.isSending = false;
  }

  // Types a text. A tab is a key, and other control characters are nothing that is typed.
  type(text) {
    const parts = text.replace(/\r\n?/g, '\n').replace(/[^\P{Cc}\n\t]|[\p{Zl}\p{Zp}\p{Cs}]/gu, '').split('\t');
    parts.forEach((part, index) => {
      if (index) this.push('keyboard/key', { key: 'tab', modifiers: [] });
      if (part) this.push('keyboard/type', { text: part });
    });
  }
}
