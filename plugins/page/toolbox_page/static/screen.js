// The screen of a terminal: xterm.js, its addons and the clipboard.

import { connectClipboard } from './clipboard.js';
import { connectFinding } from './finding.js';
import { useWidths } from './widths.js';

const THEME = {
  background: '#0b1220', foreground: '#e2e8f0', cursor: '#5eead4', cursorAccent: '#0b1220',
  selectionBackground: '#334155', black: '#1e293b', brightBlack: '#8190a5',
  red: '#f87171', brightRed: '#fca5a5', green: '#4ade80', brightGreen: '#86efac',
  yellow: '#facc15', brightYellow: '#fde047', blue: '#60a5fa', brightBlue: '#93c5fd',
  magenta: '#c084fc', brightMagenta: '#d8b4fe', cyan: '#22d3ee', brightCyan: '#67e8f9',
  white: '#e2e8f0', brightWhite: '#f8fafc',
};

// Links in text, and those that programs mark (OSC 8). The target is shown before a link is
// followed: the text of a marked one may be a different URL.
function links(screen) {
  return {
    activate: (event, url) => window.open(url, '_blank', 'noopener,noreferrer'),
    hover: (event, url) => { screen.title = url; },
    leave: () => { screen.title = ''; },
    allowNonHttpProtocols: false,
  };
}

// Shows a terminal in an element. The returned fit() makes it as large as the element; for isLive see
// connectClipboard().
export async function makeScreen(screen, isLive) {
  const [{ Terminal }, { FitAddon }, { SearchAddon }, { UnicodeGraphemesAddon }, { WebLinksAddon }] = await Promise.all([
    import('./xterm.mjs'), import('./addon-fit.mjs'), import('./addon-search.mjs'),
    import('./addon-unicode-graphemes.mjs'), import('./addon-web-links.mjs'),
  ]);
  const linkHandler = links(screen);
  const term = new Terminal({
    allowProposedApi: true, // For useWidths().
    cursorBlink: true,
    fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
    fontSize: 14,
    lineHeight: 1.15, // With less, underscores are cut off.
    linkHandler,
    scrollback: 10000,
    theme: THEME,
  });
  const fitting = new FitAddon();
  term.loadAddon(fitting);
  useWidths(term, new UnicodeGraphemesAddon());
  term.loadAddon(new WebLinksAddon(linkHandler.activate, linkHandler));
  term.open(screen);
  connectClipboard(term, screen, isLive);
  const search = new SearchAddon();
  term.loadAddon(search);
  connectFinding(term, screen, search);
  return { term, fit: () => fitting.fit() };
}
