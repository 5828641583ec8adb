// The picture of a desktop, as it changes.

import { entered, request } from './api.js';

const WAIT = 20; // Seconds in which the service waits for a change.
const PAUSE = 1000; // Milliseconds before another attempt.
const STEPS = 4; // Sizes of the picture: viewers of the same one share the work.

export class Picture {
  // showsPointer() tells whether the desktop's pointer is wanted; told(error) gets what went wrong, or
  // null with each picture.
  constructor(canvas, showsPointer, told) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.showsPointer = showsPointer;
    this.told = told;
    this.size = { width: 0, height: 0 }; // Of the desktop, in its own pixels.
    this.shown = false;
    this.tag = '';
    document.addEventListener('visibilitychange', () => this.again());
    new ResizeObserver(() => { if (this.shown && this.scale() !== this.asked) this.again(); }).observe(canvas);
  }

  start() {
    if (this.shown) return;
    this.shown = true;
    this.again();
  }

  leave() {
    this.shown = false;
    this.controller?.abort();
  }

  // Asks anew, if the picture is visible at all.
  again() {
    this.controller?.abort();
    if (!this.shown || document.hidden) return;
    this.controller = new AbortController();
    this.follow(this.controller.signal);
  }

  async follow(signal) {
    while (!signal.aborted) {
      try {
        await this.look(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.tag = '';
        this.told(error);
        if (error.status === 401) await entered(signal).catch(() => {});
        else await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
      }
    }
  }

  async look(signal) {
    this.asked = this.scale();
    const query = new URLSearchParams({ wait: WAIT, quality: 75, scale: this.asked, showCursor: this.showsPointer() });
    const headers = this.tag ? { 'If-None-Match': this.tag } : {};
    const response = await request(`x/computeruse/screen?${query}`, { headers, signal });
    if (response.status === 304) return;
    const image = await createImageBitmap(await response.blob());
    if (signal.aborted) return;
    const [width, height] = response.headers.get('X-Toolbox-Screen').split('x').map(Number);
    this.tag = response.headers.get('ETag');
    this.draw(image, { width, height });
    this.told(null);
  }

  draw(image, size) {
    const { canvas } = this;
    // A canvas is cleared by each assignment.
    if (canvas.width !== image.width || canvas.height !== image.height) {
      canvas.width = image.width;
      canvas.height = image.height;
    }
    this.context.drawImage(image, 0, 0);
    image.close();
    this.size = size;
    canvas.style.setProperty('--width', `${size.width}px`);
    canvas.style.setProperty('--height', `${size.height}px`);
  }

  // The desktop's pixels are shown in an area of the canvas, as large as fits in its middle.
  area() {
    const box = this.canvas.getBoundingClientRect();
    const ratio = Math.min(box.width / this.size.width, box.height / this.size.height);
    return {
      ratio,
      left: box.left + (box.width - this.size.width * ratio) / 2,
      top: box.top + (box.height - this.size.height * ratio) / 2,
    };
  }

  // How much smaller than the desktop the picture may be.
  scale() {
    if (!this.size.width) return 1;
    const wanted = this.area().ratio * window.devicePixelRatio;
    return Math.min(1, Math.max(1, Math.ceil(wanted * STEPS)) / STEPS);
  }

  // Where on the desktop a mouse event is.
  place({ clientX, clientY }) {
    const { ratio, left, top } = this.area();
    const within = (value, length) => Math.max(0, Math.min(length - 1, Math.floor(value / ratio))) || 0;
    return { x: within(clientX - left, this.size.width), y: within(clientY - top, this.size.height) };
  }
}
