// Fingers on the desktop's picture: a tap clicks, a finger that stays presses the right button, one that moves
// drags, and two scroll.

const SLOP = 10; // Pixels that a finger moves without meaning it.
const LONG = 500; // Milliseconds after which a finger that stays means the right button.
const NOTCH = 30; // Pixels that two fingers move for a notch of the wheel.

class Touch {
  constructor(inputs, place) {
    this.inputs = inputs;
    this.place = place;
    this.fingers = new Map(); // The latest event of each, by its pointer.
    this.first = null; // Where a finger began, until it is known what it means.
    this.isDragging = false;
    this.height = null; // That of two fingers, up to which they have scrolled.
  }

  click(event, button) {
    for (const part of ['down', 'up']) this.inputs.push(`mouse/${part}`, { ...this.place(event), button });
  }

  settle() {
    clearTimeout(this.timer);
    this.first = null;
  }

  middle() {
    const [one, other] = [...this.fingers.values()];
    return { clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 };
  }

  begin(event) {
    this.fingers.set(event.pointerId, event);
    if (this.fingers.size === 1) {
      this.first = event;
      this.timer = setTimeout(() => {
        this.settle();
        this.click(event, 'right');
      }, LONG);
    } else if (this.fingers.size === 2 && this.first) {
      this.settle();
      this.height = this.middle().clientY;
    }
  }

  move(event) {
    if (!this.fingers.has(event.pointerId)) return;
    this.fingers.set(event.pointerId, event);
    if (this.height !== null) this.scroll();
    else if (this.isDragging) this.inputs.push('mouse/move', this.place(event));
    else if (this.first) this.drag(event);
  }

  drag(event) {
    const { first } = this;
    if (Math.hypot(event.clientX - first.clientX, event.clientY - first.clientY) < SLOP) return;
    this.settle();
    this.isDragging = true;
    this.inputs.push('mouse/down', { ...this.place(first), button: 'left' });
    this.inputs.push('mouse/move', this.place(event));
  }

  // What is under the fingers follows them.
  scroll() {
    const middle = this.middle();
    const notches = Math.trunc((middle.clientY - this.height) / NOTCH);
    if (!notches) return;
    this.height += notches * NOTCH;
    const turn = { direction: notches < 0 ? 'down' : 'up', amount: Math.abs(notches), modifiers: [] };
    this.inputs.push('mouse/scroll', { ...this.place(middle), ...turn });
  }

  end(event) {
    if (!this.fingers.delete(event.pointerId)) return;
    if (this.isDragging) this.inputs.push('mouse/up', { ...this.place(event), button: 'left' });
    else if (this.first && event.type === 'pointerup') this.click(event, 'left');
    this.settle();
    this.isDragging = false;
    this.height = null;
  }
}

// place(event) returns where on the desktop a finger is.
export function connectTouch(picture, inputs, place) {
  const touch = new Touch(inputs, place);
  const steps = { pointerdown: 'begin', pointermove: 'move', pointerup: 'end', pointercancel: 'end' };
  for (const [name, step] of Object.entries(steps)) {
    picture.addEventListener(name, (event) => { if (event.pointerType === 'touch') touch[step](event); });
  }
}
