// The number of cells that characters take: emoji two, and a grapheme cluster as a whole.

const VERSION = 'page';
const KNOWN = 0x1f600; // An emoji in the addon's tables.
const FIRST = 0x1f000; // All emoji that are newer than the addon's tables are above it.
const EMOJI = /^\p{Emoji_Presentation}$/u;
const PART = /^[\p{Regional_Indicator}\p{Emoji_Modifier}]$/u;

const known = new Map();

// The addon's tables are older than the browser: it is asked about a known emoji instead of one that
// it doesn't know.
function asKnown(code) {
  if (code < FIRST) return code;
  if (!known.has(code)) {
    const character = String.fromCodePoint(code);
    known.set(code, EMOJI.test(character) && !PART.test(character) ? KNOWN : code);
  }
  return known.get(code);
}

// Makes a terminal count by the rules for grapheme clusters (Unicode Standard Annex 29).
export function useWidths(term, addon) {
  let rules = null;
  addon.activate({ unicode: { register: (provider) => { rules = provider; }, activeVersion: '' } });
  term.unicode.register({
    version: VERSION,
    wcwidth: (code) => rules.wcwidth(asKnown(code)),
    charProperties: (code, before) => rules.charProperties(asKnown(code), before),
  });
  term.unicode.activeVersion = VERSION;
}
