import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { damage, fileOf, flip, someLog } from '../log/damaging.js';
import { millrace } from './command.js';

const HINT = 'millrace log verify tells more, millrace log repair keeps what is intact of the log';

describe('a segment whose header says nothing', () => {
  const WAYS: [string, (path: string) => void, (path: string) => string][] = [
    [
      'a foreign file',
      (path) => writeFileSync(path, 'notes of mine'),
      (path) => `${path} is not a segment of a log`,
    ],
    [
      'one bit of its magic',
      (path) => flip(path, 0),
      (path) => `The header of the segment ${path} is damaged`,
    ],
    [
      'one bit of its metadata',
      (path) => flip(path, 4100),
      (path) => `The header of the segment ${path} is damaged`,
    ],
  ];

  test.each(WAYS)('%s: it is told in the terms of a log, and what to do', async (_, spoil, wrong) => {
    const { directory, bases } = await someLog();
    const path = fileOf(directory, bases[3]);
    spoil(path);
    for (const verb of ['read', 'segments', 'cursors', 'stat']) {
      const { code, stdout, stderr } = await millrace('log', verb, directory);
      expect(code).toBe(1);
      expect(verb === 'stat' ? stdout : stderr).toContain(`${wrong(path)}: ${HINT} (ERR_FORMAT)`);
    }
    const { code, stdout, stderr } = await millrace('log', 'verify', directory);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toContain(`  ERR_FORMAT: ${wrong(path)} (from offset ${bases[3]} on)\n`);
  });
});

describe('damage that ends the reading', () => {
  test('is told with what to do on the command line, where there is something, and with no call', async () => {
    const { directory, bases } = await someLog();
    damage(fileOf(directory, 0), 0, 3);
    damage(fileOf(directory, bases[3]), bases[3], bases[3] + 1);
    const cursor = await millrace('log', 'read', directory, '--cursor', 'mine');
    expect(cursor.stderr).toBe(
      `millrace: ${fileOf(directory, 0)} is damaged at position 384; what follows can be read from position 512 on; ` +
        `millrace log cursors ${directory} set mine 4 has the cursor go on behind it (ERR_CORRUPT)\n`,
    );
    for (const { code, stdout, stderr } of [cursor, await millrace('log', 'verify', directory)]) {
      expect(code).toBe(1);
      expect(stdout + stderr).toContain('is damaged at position ');
      expect(stdout + stderr).not.toMatch(/\w\(\w/);
    }
    expect((await millrace('log', 'cursors', directory, 'set', 'mine', '4')).code).toBe(0);
    await using log = await Log.open(directory, { readOnly: true });
    expect(log.cursor('mine').get()).toBe(4);
  });
});
