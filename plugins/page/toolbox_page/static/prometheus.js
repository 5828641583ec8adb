// The part of the Prometheus text format that the page needs.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;

// Returns the sum of each metric's samples by name.
export function sums(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    const match = line.startsWith('#') ? null : LINE.exec(line);
    if (match) found.set(match[1], (found.get(match[1]) || 0) + Number(match[3]));
  }
  return found;
}
