// Arithmetic of the comparison.

export const sigmoid = (logit) => 1 / (1 + Math.exp(-logit));

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The median of what each round gave: what slows a round down slows both sides of it. */
export const ratio = (ours, others) => median(ours.map((value, i) => value / others[i]));

/** Logits on a square grid, resized bilinearly (half-pixel centres) to `side` and cut at a probability. */
export function maskOf(logits, side, threshold) {
  const grid = Math.round(Math.sqrt(logits.length));
  const cut = Math.log(threshold / (1 - threshold));
  const place = (at) => {
    const exact = Math.max(0, ((at + 0.5) * grid) / side - 0.5);
    const low = Math.min(Math.floor(exact), grid - 1);
    return { low, high: Math.min(low + 1, grid - 1), weight: exact - low };
  };
  const places = Array.from({ length: side }, (_, at) => place(at));
  const mask = new Uint8Array(side * side);
  for (let y = 0; y < side; y++) {
    const { low, high, weight } = places[y];
    for (let x = 0; x < side; x++) {
      const column = places[x];
      const along = (row) => logits[row * grid + column.low] * (1 - column.weight) + logits[row * grid + column.high] * column.weight;
      mask[y * side + x] = along(low) * (1 - weight) + along(high) * weight > cut ? 1 : 0;
    }
  }
  return mask;
}
