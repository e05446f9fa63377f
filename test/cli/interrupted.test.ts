import { expect, test } from 'vitest';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { millrace, Running } from './command.js';
import { closedLog } from './log.js';
import { variedChannel } from './recording.js';

const DIST = new URL('../../dist/', import.meta.url);

/** Has `millrace …` fail, in a method of the library, in the same moment in which Ctrl-C is heard. */
function failingIn(holder: string): NodeJS.ProcessEnv {
  const source = `
    import { MillraceError, Reader, Writer } from '${new URL('index.js', DIST)}';
    import { Log } from '${new URL('log/index.js', DIST)}';
    ${holder} = async () => {
      process.emit('SIGINT');
      throw new MillraceError('ERR_NO_SPACE', 'There is no room');
    };
    if (${holder} === Writer.prototype.ready) {
      Writer.prototype.writeBatch = () => {
        throw new MillraceError('ERR_BACK_PRESSURE', 'Readers hold it back');
      };
    }`;
  return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(source)}` };
}

async function newChannel(): Promise<string> {
  const path = newPath();
  await millrace('create', path, '--size', '64KiB');
  return path;
}

test.each([
  ['record', 'Log.prototype.appendAsync', async () => ['record', await variedChannel(3), newDirectory()]],
  ['record', 'Reader.open', async () => ['record', await variedChannel(3), newDirectory()]],
  ['replay', 'Writer.prototype.send', async () => ['replay', await closedLog(['one']), newPath()]],
  ['tail', 'Reader.open', async () => ['tail', '-f', await variedChannel(3)]],
  ['write', 'Writer.prototype.ready', async () => ['write', await newChannel()]],
])('what goes wrong in the moment of Ctrl-C is told: %s, in %s', async (_, holder, args) => {
  const running = new Running(await args(), 'pipe', failingIn(holder));
  running.child.stdin?.end('one\n');
  const { code, stderr } = await running.end();
  expect({ code, stderr }).toEqual({ code: 1, stderr: 'millrace: There is no room (ERR_NO_SPACE)\n' });
});
