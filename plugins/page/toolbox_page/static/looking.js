// Looking again and again, while a view is shown.

const INTERVAL = 2000; // Milliseconds between two looks.

export class Looking {
  // refresh(isShown) reads and shows; isShown() tells whether what was asked for is still wanted, since a late
  // response must change nothing. failed(error) tells of what went wrong.
  constructor(refresh, failed) {
    this.refresh = refresh;
    this.failed = failed;
    this.round = 0;
  }

  // Looks now, and from then on.
  async look() {
    clearTimeout(this.timer);
    const { round } = this;
    const isShown = () => round === this.round;
    try {
      if (!document.hidden) await this.refresh(isShown);
    } catch (error) {
      if (isShown()) this.failed(error);
    }
    if (!isShown()) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), INTERVAL);
  }

  leave() {
    this.round += 1;
    clearTimeout(this.timer);
  }
}
