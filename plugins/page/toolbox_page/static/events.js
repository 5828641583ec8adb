// The events of sandboxes: as much of Socket.IO (Engine.IO 4 over a WebSocket) as the page needs.

import { messageCredential, openBare } from './api.js';

const LONGEST = 8000; // Milliseconds between two attempts to connect, at most.

// Calls joined() whenever the connection is there, also again after it broke: events of the time
// between are lost. Then received(name, data) for each event, and left() when it breaks.
export function follow({ joined, received, left }) {
  let delay = 250;

  function connect() {
    const socket = openBare('api/socket.io/?EIO=4&transport=websocket');
    let patience = 0; // Milliseconds in which the service sends something, if it is there.
    let silence = 0;
    socket.onmessage = ({ data }) => {
      if (data.startsWith('0')) {
        const { pingInterval, pingTimeout } = JSON.parse(data.slice(1));
        patience = pingInterval + pingTimeout;
        socket.send(`40${JSON.stringify(messageCredential())}`);
      } else if (data === '2') {
        socket.send('3');
      } else if (data.startsWith('40')) {
        delay = 250;
        joined();
      } else if (data.startsWith('42')) {
        received(...JSON.parse(data.slice(2)));
      } else if (data.startsWith('44')) {
        socket.close(); // The token is not accepted. The page asks for another one.
      }
      clearTimeout(silence);
      silence = setTimeout(() => socket.close(), patience);
    };
    socket.onclose = () => {
      clearTimeout(silence);
      left();
      setTimeout(connect, delay);
      delay = Math.min(2 * delay, LONGEST);
    };
  }

  connect();
}
