// Line endings. A text field has only "\n", and a file's own must survive in it.

// Returns the text with "\n" for each line ending, and the endings as they were.
export function split(whole) {
  const endings = whole.match(/\r\n|\r|\n/g) || [];
  return { text: whole.replace(/\r\n?/g, '\n'), endings };
}

function most(endings) {
  const counts = new Map();
  for (const ending of endings) counts.set(ending, (counts.get(ending) || 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1])[0]?.[0] || '\n';
}

function common(one, other, at) {
  const shortest = Math.min(one.length, other.length);
  let count = 0;
  while (count < shortest && at(one, count) === at(other, count)) count += 1;
  return count;
}

// Returns the text as it is to be stored: lines that were there before keep their endings, new ones get
// the ending that most have.
export function joined(text, before, endings) {
  const usual = most(endings);
  if (endings.every((ending) => ending === usual)) return text.replaceAll('\n', usual);
  const lines = text.split('\n');
  const old = before.split('\n');
  const head = Math.min(common(lines, old, (list, index) => list[index]), lines.length - 1, endings.length);
  const rest = (list) => list.slice(head);
  const tail = Math.min(common(rest(lines), rest(old), (list, index) => list[list.length - 1 - index]),
    lines.length - 1 - head, endings.length - head);
  const between = lines.length - 1 - head - tail;
  // As many lines as before: they were changed where they are.
  const inPlace = lines.length === old.length;
  const kept = inPlace ? endings : [
    ...endings.slice(0, head), ...new Array(between).fill(usual), ...endings.slice(endings.length - tail)];
  return lines.map((line, index) => line + (kept[index] ?? '')).join('');
}
