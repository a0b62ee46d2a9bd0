// A download or import under way, as the page shows it.
import type { Advance } from './store/install';
import { Rate } from './store/rate';
import { bytesInWords, timeLeftInWords } from './store/words';

export class Transfer {
  #advance: Advance | undefined;
  #at = 0;
  readonly #rate = new Rate();

  /** Id of the model, once it is known. */
  get model(): string | undefined {
    return this.#advance?.id;
  }

  /** `at` in milliseconds. */
  add(advance: Advance, at: number): void {
    this.#advance = advance;
    this.#at = at;
    if (advance.freshBytes > 0) this.#rate.add(advance.freshBytes, at);
  }

  /** The share that is there and, in words, how much of how much, how fast and how long still. */
  shown(): { fraction: number; words: string } {
    if (!this.#advance) return { fraction: 0, words: 'Asking for the model…' };
    const { presentBytes, totalBytes } = this.#advance;
    const speed = this.#rate.bytesPerSecond(this.#at);
    const left = this.#rate.secondsFor(totalBytes - presentBytes, this.#at);
    const parts = [
      `${bytesInWords(presentBytes)} of ${bytesInWords(totalBytes)}`,
      ...(speed === undefined ? [] : [`${bytesInWords(speed)}/s`]),
      ...(left === undefined ? [] : [timeLeftInWords(left)]),
    ];
    return { fraction: totalBytes === 0 ? 1 : presentBytes / totalBytes, words: parts.join(' · ') };
  }
}
