const BAR_WIDTH = 30;
/** Of a trial nobody has timed yet. */
const UNKNOWN_SECONDS = { quick: 20, full: 180 };
/** Before this much of a trial is done, what it was expected to take says more than its pace. */
const PACE_FROM = 0.1;
const LINE_EACH_MS = 30_000;

/**
 * How much of a run is done, and the time left: a bar on a terminal, lines now and then elsewhere. It is drawn
 * when a trial says something, and by no timer, which would take time from who is measured.
 */
export class Progress {
  #stream;
  #expected;
  #at = -1;
  #name = '';
  #share = 0;
  #start = 0;
  #saidAt = 0;
  #drawn = false;

  /** `seconds`: what each trial took the last time, where that is known. */
  constructor(stream, set, seconds) {
    this.#stream = stream;
    const known = seconds.filter((one) => one !== undefined);
    const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
    this.#expected = seconds.map((one) => one ?? (known.length > 0 ? mean : UNKNOWN_SECONDS[set]));
  }

  begin(name) {
    this.#at++;
    this.#name = name;
    this.#share = 0;
    this.#start = performance.now();
    this.#say();
  }

  tell(done, all) {
    this.#share = Math.min(1, Math.max(this.#share, done / all));
    if (this.#stream.isTTY || performance.now() - this.#saidAt > LINE_EACH_MS) this.#say();
  }

  /** Before anything else is printed. */
  clear() {
    if (this.#drawn) this.#stream.write('\r\x1b[K');
    this.#drawn = false;
  }

  /** Of the trial that just ended. */
  get seconds() {
    return (performance.now() - this.#start) / 1000;
  }

  #say() {
    this.#saidAt = performance.now();
    const left = this.#secondsLeft();
    const done = this.#secondsDone();
    const share = done / (done + left);
    const trial = `${this.#name} (${this.#at + 1} of ${this.#expected.length})`;
    const text = `${percent(share)}  ${trial}  ${duration(left)} left`;
    if (this.#stream.isTTY) {
      const filled = Math.round(share * BAR_WIDTH);
      this.#stream.write(`\r\x1b[K[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}] ${text}`);
      this.#drawn = true;
    } else {
      this.#stream.write(`${text}\n`);
    }
  }

  #secondsDone() {
    return sum(this.#expected.slice(0, this.#at)) + this.seconds;
  }

  #secondsLeft() {
    const passed = this.seconds;
    const expected = this.#expected[this.#at];
    const here = this.#share > PACE_FROM ? passed / this.#share - passed : Math.max(0, expected - passed);
    return here + sum(this.#expected.slice(this.#at + 1));
  }
}

/** One progress for work of several parts, each with its share of the time. */
export function parts(progress, shares) {
  const all = sum(shares);
  let before = 0;
  return shares.map((share) => {
    const from = before;
    before += share;
    return (done, of) => progress(from + (share * done) / of, all);
  });
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

function percent(share) {
  return `${Math.floor(share * 100)} %`.padStart(5);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
