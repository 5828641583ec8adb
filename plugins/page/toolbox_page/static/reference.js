// The API reference: Swagger UI, loaded when it is first looked at.

import { authorize, prefix, read } from './api.js';
import { byId, element } from './dom.js';

let shown = false;

function load(tag, properties) {
  return new Promise((resolve, reject) => {
    const part = element(tag, { ...properties, onload: resolve, onerror: reject });
    document.head.append(part);
  });
}

// Swagger UI has colours for the dark, by a class of the whole document.
const dark = matchMedia('(prefers-color-scheme: dark)');

function followScheme() {
  document.documentElement.classList.toggle('dark-mode', dark.matches);
}

export async function start() {
  if (shown) return;
  shown = true;
  followScheme();
  dark.addEventListener('change', followScheme);
  window.noZensmooth = true; // Of its parts one takes every click on a link to "#...": not here.
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
      requestInterceptor: (sent) => {
        authorize(sent.headers);
        return sent;
      },
    });
  } catch (error) {
    shown = false;
    byId('viewer').replaceChildren(
      element('p', { className: 'notice' }, `The reference can't be shown: ${error.message || 'its parts did not load'}`));
  }
}
