// The API reference: Swagger UI, loaded when it is first shown.

import { authorize, prefix, read } from './api.js';
import { byId, element } from './dom.js';

let shown = false;

function load(tag, properties) {
  return new Promise((resolve, reject) => {
    const part = element(tag, { ...properties, onload: resolve, onerror: reject });
    document.head.append(part);
  });
}

// Swagger UI has a dark theme, chosen by a class of the document.
const dark = matchMedia('(prefers-color-scheme: dark)');

function followScheme() {
  document.documentElement.classList.toggle('dark-mode', dark.matches);
}

export async function start() {
  if (shown) return;
  shown = true;
  followScheme();
  dark.addEventListener('change', followScheme);
  window.noZensmooth = true; // Otherwise a part of it handles every click on a link to "#...".
  try {
    const [description] = await Promise.all([
      read('openapi.json'),
      load('link', { rel: 'stylesheet', href: 'page/swagger-ui.css' }),
      load('script', { src: 'page/swagger-ui-bundle.js' }),
    ]);
    description.servers = [{ url: prefix || '/' }];
    window.SwaggerUIBundle({
      spec: description,
      domNode: byId('viewer'),
      docExpansion: 'none',
      filter: true,
      validatorUrl: null,
      deepLinking: false,
      tryItOutEnabled: false,
      displayRequestDuration: true,
      onComplete: () => document.querySelector('.operation-filter-input')?.setAttribute('aria-label', 'Filter by tag or path'),
      requestInterceptor: (outgoing) => {
        authorize(outgoing.headers);
        return outgoing;
      },
    });
  } catch (error) {
    shown = false;
    byId('viewer').replaceChildren(
      element('p', { className: 'notice' }, `The API reference could not be loaded: ${error.message || 'a part of it is missing'}`));
  }
}
