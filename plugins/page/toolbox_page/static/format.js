// Figures as people read them.

export function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, count < 1 ? 0 : Math.floor(Math.log2(count) / 10));
  const scaled = count / 1024 ** power;
  return `${scaled.toFixed(power && scaled < 100 ? 1 : 0)} ${units[power]}`;
}

const UNITS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

// The time since then, in its largest unit.
export function age(then) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(then)) / 1000));
  const [length, unit] = UNITS.find(([least]) => seconds >= least) || UNITS.at(-1);
  return `${Math.floor(seconds / length)} ${unit}`;
}

// A span of time, in its two largest units.
export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const place = UNITS.findIndex(([least]) => seconds >= least);
  const [length, unit] = UNITS[place];
  const rest = UNITS[place + 1];
  const text = `${Math.floor(seconds / length)} ${unit}`;
  return rest ? `${text} ${Math.floor((seconds % length) / rest[0])} ${rest[1]}` : text;
}

const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

// A point in time, in the zone of whoever looks.
export function moment(then) {
  const date = new Date(then);
  return Number.isNaN(date.getTime()) ? then : LOCAL.format(date);
}
