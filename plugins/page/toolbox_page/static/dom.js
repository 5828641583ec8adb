// Elements, made without parsing HTML: nothing that the service sends can become markup.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

// Shows values by their names in a list of descriptions. What has not changed stays as it is: it may be
// selected, to be copied.
export function showFacts(list, facts) {
  const names = Object.keys(facts);
  const known = Array.from(list.querySelectorAll('dt'), ({ textContent }) => textContent);
  if (known.join('\n') !== names.join('\n')) {
    list.replaceChildren(...names.map((name) => element('div', {}, element('dt', {}, name), element('dd', {}))));
  }
  list.querySelectorAll('dd').forEach((place, index) => {
    const value = String(facts[names[index]]);
    if (place.textContent !== value) place.textContent = value;
  });
}

const SVG = 'http://www.w3.org/2000/svg';

function svgElement(tag, attributes) {
  const created = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) created.setAttribute(name, value);
  return created;
}

// Draws a line through the values, the newest on the right, between 0 and top.
export function sparkline(values, top, length) {
  const height = 36;
  const step = 100 / (length - 1);
  const highest = top || Math.max(...values, 1e-9);
  const points = values.map((value, index) => {
    const x = 100 - (values.length - 1 - index) * step;
    const y = height - 2 - (Math.min(value, highest) / highest) * (height - 4);
    return `${x.toFixed(2)},${y.toFixed(2)}`;
  });
  const chart = svgElement('svg', { viewBox: `0 0 100 ${height}`, preserveAspectRatio: 'none', class: 'spark' });
  chart.setAttribute('aria-hidden', 'true');
  if (points.length > 1) {
    const first = points[0].split(',')[0];
    chart.append(
      svgElement('polygon', { points: `${first},${height} ${points.join(' ')} 100,${height}` }),
      svgElement('polyline', { points: points.join(' ') }),
    );
  }
  return chart;
}
