// Bytes and durations as people read them.

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const;

/** Such as "14.0 MB": three digits, decimal units as disks and networks use them. */
export function bytesInWords(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  const digits = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toLocaleString(undefined, { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${UNITS[power]}`;
}

/** Such as "8 s left" or "3 min left". */
export function timeLeftInWords(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s left`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min left`;
  return `${Math.round(seconds / 3600)} h left`;
}

/** What the stored models take and whether they stay. */
export function storageInWords({ usage, quota }: { usage: number; quota: number }, isPersistent: boolean): string {
  const keeps = isPersistent ? 'The browser keeps them until you delete them.' : 'The browser may delete them when the disk is full.';
  return `This page stores ${bytesInWords(usage)} and may store ${bytesInWords(Math.max(0, quota - usage))} more. ${keeps}`;
}
