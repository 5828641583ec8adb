// Questions: the browser's own dialog keeps the focus inside, is left by Escape, and gives it back.

import { byId, element } from './dom.js';

let answer = null; // Takes what was chosen, while a question is asked.

function button({ text, value, kind }) {
  return element('button', { value, className: kind || '', textContent: text });
}

function begin() {
  const dialog = byId('question');
  const field = byId('question-input');
  dialog.addEventListener('close', () => {
    const take = answer;
    answer = null;
    if (take) take({ choice: dialog.returnValue, text: field.value });
  });
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    byId('question-form').requestSubmit(byId('question-actions').lastChild);
  });
}

// Asks a question; resolves to the choice, '' if it was left, and to the text of the field. The last
// of the choices is what Enter in the field means. check(text) returns why the text won't do, or ''.
export function ask({ title, text = '', choices, label = '', value = '', check = () => '' }) {
  const dialog = byId('question');
  if (!byId('question-actions').childElementCount) begin();
  if (dialog.open) dialog.close('');
  dialog.returnValue = '';
  byId('question-title').replaceChildren(...[title].flat());
  byId('question-text').textContent = text;
  byId('question-error').textContent = '';
  byId('question-label').textContent = label;
  byId('question-field').hidden = !label;
  byId('question-actions').replaceChildren(
    button({ text: 'Cancel', value: '' }), ...choices.map(button));
  const field = byId('question-input');
  field.value = value;
  byId('question-form').onsubmit = (event) => {
    const wrong = label && event.submitter && event.submitter.value ? check(field.value) : '';
    byId('question-error').textContent = wrong;
    if (wrong) event.preventDefault();
  };
  dialog.showModal();
  if (label) {
    field.focus();
    field.select();
  } else {
    byId('question-actions').firstChild.focus(); // What does no harm.
  }
  return new Promise((resolve) => { answer = resolve; });
}

export async function confirmed(question, action) {
  const { choice } = await ask({ ...question, choices: [{ text: action, value: 'yes', kind: 'danger' }] });
  return choice === 'yes';
}
