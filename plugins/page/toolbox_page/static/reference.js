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

export async function start() {
  if (shown) return;
  shown = true;
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
