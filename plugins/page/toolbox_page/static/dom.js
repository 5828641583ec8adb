// Elements, made without parsing HTML: nothing that the service sends can become markup.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

// Shows values by their names in a list of descriptions.
export function showFacts(list, facts) {
  list.replaceChildren(...Object.entries(facts).map(([name, value]) => element(
    'div', {}, element('dt', {}, name), element('dd', {}, String(value)))));
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
