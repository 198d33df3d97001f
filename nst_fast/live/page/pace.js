// How large frames may be so that the page stays responsive, and the figures that it shows.

const SIDES = [192, 256, 320, 384, 480, 640, 800, 960];
const SLOWEST_RATE = 14; // frames per second
const LONGEST_DELAY = 130; // milliseconds
const SHORTEST_DELAY = 55;
const SETTLING = 1000; // milliseconds after a change that are not counted: engines prepare for a new size
const GRUDGE = 30000; // milliseconds in which a size that was too slow is not tried again

export class Pace {
  constructor(longSide = 640) {
    this.index = SIDES.indexOf(longSide);
    this.automatic = true;
    this.fixed = longSide;
    this.held = false;
    this.tooSlow = new Map(); // index -> until when
    this.restart(0);
  }

  get longSide() {
    return this.automatic ? SIDES[this.index] : this.fixed;
  }

  /** Counting begins again, as after a change of style, source or size. */
  restart(now) {
    this.settled = now + SETTLING;
    this.times = [];
    this.delays = [];
    this.changed = now;
  }

  /** One frame was shown. */
  count(now, delay) {
    this.times.push(now);
    this.delays.push(delay);
    while (this.times.length > 60 || (this.times.length > 5 && this.times[0] < now - 2000)) {
      this.times.shift();
      this.delays.shift();
    }
    if (this.automatic && !this.held && now > this.settled) {
      this.#adapt(now);
    }
  }

  /** Frames per second and the median delay in milliseconds, of two seconds or five frames; null: nothing is shown. */
  figures(now) {
    if (this.times.length < 3 || this.times.at(-1) < now - 10000) {
      return null;
    }
    const rate = ((this.times.length - 1) * 1000) / (this.times.at(-1) - this.times[0]);
    const delay = [...this.delays].sort((a, b) => a - b)[this.delays.length >> 1];
    return { rate, delay };
  }

  /** The largest size below this one that is fast enough, if the time follows the number of pixels. */
  #largestFastEnough({ rate, delay }) {
    for (let index = this.index - 1; index > 0; index--) {
      const work = (SIDES[index] / SIDES[this.index]) ** 2;
      if (delay * work <= LONGEST_DELAY && rate / work >= SLOWEST_RATE) {
        return index;
      }
    }
    return 0;
  }

  #adapt(now) {
    const figures = this.figures(now);
    const watched = now - this.settled;
    if (!figures || watched < 1500) {
      return;
    }
    if ((figures.rate < SLOWEST_RATE || figures.delay > LONGEST_DELAY) && this.index > 0) {
      this.tooSlow.set(this.index, now + GRUDGE);
      this.index = this.#largestFastEnough(figures);
      this.restart(now);
    } else if (figures.delay < SHORTEST_DELAY && watched > 4000 && this.index + 1 < SIDES.length) {
      if ((this.tooSlow.get(this.index + 1) ?? 0) < now) {
        this.index += 1;
        this.restart(now);
      }
    }
  }
}
