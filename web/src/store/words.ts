// Bytes and durations as people read them, in the language of the page.
import { number, words } from '../words/language';

/** Such as "14.0 MB": three digits, decimal units as disks and networks use them. */
export function bytesInWords(bytes: number): string {
  const units = words.value.units.bytes;
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  const digits = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${number(value, digits)} ${units[power]}`;
}

/** Such as "8 s left" or "3 min left". */
export function timeLeftInWords(seconds: number): string {
  const { secondsLeft, minutesLeft, hoursLeft } = words.value.units;
  if (seconds < 90) return secondsLeft(number(Math.max(1, Math.round(seconds))));
  if (seconds < 5400) return minutesLeft(number(Math.round(seconds / 60)));
  return hoursLeft(number(Math.round(seconds / 3600)));
}

/** What the stored models take and whether they stay. */
export function storageInWords({ usage, quota }: { usage: number; quota: number }, isPersistent: boolean): string {
  const { storage, persistent, evictable } = words.value.model;
  return storage(bytesInWords(usage), bytesInWords(Math.max(0, quota - usage))) + (isPersistent ? persistent : evictable);
}
