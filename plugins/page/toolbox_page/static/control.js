// Control of a desktop: the mouse or fingers on its picture, and the keyboard while a hidden field has the focus.

import { chord, leaves, modifiers, pastes } from './keys.js';
import { connectTouch } from './touch.js';

const BUTTONS = ['left', 'middle', 'right'];
const NOTCH = 100; // Pixels that a browser scrolls for a notch of the wheel.
const LINE = 33;
const MOST = 10; // Notches at once.

// The wheel's way, in notches; what is less than one is kept for the next event.
class Wheel {
  constructor() {
    this.rest = { x: 0, y: 0 };
  }

  notches({ deltaX, deltaY, deltaMode }) {
    const unit = [1, LINE, MOST * NOTCH][deltaMode] / NOTCH;
    this.rest.x += deltaX * unit;
    this.rest.y += deltaY * unit;
    return [['x', 'left', 'right'], ['y', 'up', 'down']].flatMap(([axis, back, forth]) => {
      const whole = Math.trunc(this.rest[axis]);
      this.rest[axis] -= whole;
      return whole ? [{ direction: whole < 0 ? back : forth, amount: Math.min(MOST, Math.abs(whole)) }] : [];
    });
  }
}

function connectMouse(picture, field, inputs, place) {
  const wheel = new Wheel();
  const pressed = new Set();
  let held = []; // Modifiers that are held on the desktop while buttons are pressed.

  function release() {
    for (const name of held.splice(0).reverse()) inputs.push('keyboard/up', { key: name });
  }

  picture.addEventListener('mousedown', (event) => event.preventDefault()); // It would take the focus.
  picture.addEventListener('contextmenu', (event) => event.preventDefault());
  picture.addEventListener('pointerdown', (event) => {
    const button = BUTTONS[event.button];
    if (!button || event.pointerType === 'touch') return;
    picture.setPointerCapture(event.pointerId);
    field.focus({ preventScroll: true });
    if (!pressed.size) held = modifiers(event);
    for (const key of pressed.size ? [] : held) inputs.push('keyboard/down', { key });
    pressed.add(button);
    inputs.push('mouse/down', { ...place(event), button });
  });
  // A mouse tells of further buttons by moves.
  picture.addEventListener('pointermove', (event) => {
    if (event.pointerType !== 'touch' && document.activeElement === field) inputs.push('mouse/move', place(event));
  });
  for (const end of ['mouseup', 'pointerup', 'pointercancel']) {
    picture.addEventListener(end, (event) => {
      const ended = end === 'pointercancel' ? [...pressed] : [BUTTONS[event.button]];
      for (const button of ended) {
        if (pressed.delete(button)) inputs.push('mouse/up', { ...place(event), button });
      }
      if (!pressed.size) release();
    });
  }
  picture.addEventListener('wheel', (event) => {
    if (document.activeElement !== field) return;
    event.preventDefault();
    for (const turn of wheel.notches(event)) {
      inputs.push('mouse/scroll', { ...place(event), ...turn, modifiers: modifiers(event) });
    }
  }, { passive: false });
}

function connectKeyboard(field, inputs, leave) {
  field.addEventListener('keydown', (event) => {
    if (pastes(event)) return;
    if (leaves(event)) {
      event.preventDefault();
      leave();
      return;
    }
    const pressed = chord(event);
    if (!pressed) return;
    event.preventDefault();
    // A held key must not go on long after it was released.
    if (!event.repeat || inputs.isIdle()) inputs.push('keyboard/key', pressed);
  });
  // The keyboards of phones have no keys, only what they do.
  field.addEventListener('beforeinput', (event) => {
    const key = { deleteContentBackward: 'backspace', insertLineBreak: 'enter' }[event.inputType];
    if (!key || event.isComposing || field.value) return;
    event.preventDefault();
    inputs.push('keyboard/key', { key, modifiers: [] });
  });
  const take = () => {
    inputs.type(field.value);
    field.value = '';
  };
  field.addEventListener('input', ({ isComposing }) => { if (!isComposing) take(); });
  field.addEventListener('compositionend', take);
}

// place(event) returns where on the desktop a mouse event is; leave() gives the focus to something else.
export function connectControl({ picture, field, inputs, place, leave }) {
  connectMouse(picture, field, inputs, place);
  connectTouch(picture, inputs, place);
  connectKeyboard(field, inputs, leave);
}
