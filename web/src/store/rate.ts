// Speed of a transfer over its last seconds, and from it the time that is left.

const WINDOW_MS = 5000;
/** Before this much time has passed a speed is a guess. */
const LEAST_MS = 500;

export class Rate {
  #samples: { at: number; bytes: number }[] = [];

  /** `bytes` more have arrived; `at` in milliseconds. */
  add(bytes: number, at: number): void {
    this.#samples.push({ at, bytes });
    while ((this.#samples[0]?.at ?? at) < at - WINDOW_MS) this.#samples.shift();
  }

  /** Bytes per second; absent while too little is known. */
  bytesPerSecond(now: number): number | undefined {
    const first = this.#samples[0];
    if (!first || now - first.at < LEAST_MS) return undefined;
    // The first sample's bytes arrived before the span that is measured.
    const bytes = this.#samples.slice(1).reduce((sum, sample) => sum + sample.bytes, 0);
    return (1000 * bytes) / (now - first.at);
  }

  /** Seconds for `bytes` more at this speed; absent while it is unknown or nothing moves. */
  secondsFor(bytes: number, now: number): number | undefined {
    const speed = this.bytesPerSecond(now);
    return speed ? bytes / speed : undefined;
  }
}
