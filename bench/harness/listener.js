import { createInterface } from 'node:readline';
import { say } from './participant.js';

/**
 * For a process whose event loop must stay alive between its turns. Each line, `name argument …`, is answered
 * with what `actions[name](...numbers)` resolves with. Ends when the harness goes away.
 */
export function answerTurns(actions) {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const [name, ...numbers] = line.split(' ');
    try {
      say(await actions[name](...numbers.map(Number)));
    } catch (error) {
      console.error(error);
      process.exit(1);
    }
  });
  lines.on('close', () => process.exit(0));
  say({ ready: true });
}
