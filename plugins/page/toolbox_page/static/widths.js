// How many cells characters take: emoji two, and what is drawn as one character one place.

const VERSION = 'page';
const KNOWN = 0x1f600; // An emoji that the addon knows.
const FIRST = 0x1f000; // All that came after the addon's tables are above it.
const EMOJI = /^\p{Emoji_Presentation}$/u;
const PART = /^[\p{Regional_Indicator}\p{Emoji_Modifier}]$/u;

const known = new Map();

// The addon's tables are older than the browser: of an emoji that is new to it, it tells what it
// knows of another.
function asKnown(code) {
  if (code < FIRST) return code;
  if (!known.has(code)) {
    const character = String.fromCodePoint(code);
    known.set(code, EMOJI.test(character) && !PART.test(character) ? KNOWN : code);
  }
  return known.get(code);
}

// Make a terminal count by the rules for grapheme clusters (Unicode Standard Annex 29).
export function useWidths(term, addon) {
  let rules = null;
  addon.activate({ unicode: { register: (each) => { rules = each; }, activeVersion: '' } });
  term.unicode.register({
    version: VERSION,
    wcwidth: (code) => rules.wcwidth(asKnown(code)),
    charProperties: (code, before) => rules.charProperties(asKnown(code), before),
  });
  term.unicode.activeVersion = VERSION;
}
