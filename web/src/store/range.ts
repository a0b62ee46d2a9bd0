// The header `Content-Range` of a partial answer.

/** The first byte of `bytes 100-199/200`, if the range ends with a file of `size` bytes. */
export function rangeStart(header: string | null, size: number): number | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header ?? '');
  if (!match) return undefined;
  const [first, last, total] = match.slice(1).map(Number);
  if (first === undefined || last !== size - 1 || first > last) return undefined;
  return match[3] === '*' || total === size ? first : undefined;
}
