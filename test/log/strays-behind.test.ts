import { readdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { collect } from './collect.js';
import { fileOf, range, readable, someLog } from './damaging.js';

describe('a link that leads nowhere, behind the last segment', () => {
  async function linked() {
    const log = await someLog(2);
    const stray = fileOf(log.directory, log.next + 4);
    symlinkSync('/nonexistent/file', stray);
    return { ...log, stray };
  }

  test('is set aside by who opens the log to append', async () => {
    const { directory, next, stray } = await linked();
    await using log = await Log.open(directory);
    expect(log.recovery?.setAside).toMatchObject([{ name: basename(stray) }]);
    expect(readdirSync(join(directory, 'set-aside'))).toContain(basename(stray));
    expect(log.append('behind')).toBe(next);
  });

  test('is told by verify, and set aside by repair', async () => {
    const { directory, next, stray } = await linked();
    const fault = { code: 'ERR_FORMAT', file: stray, message: expect.stringContaining('leads nowhere') };
    expect(await Log.verify(directory)).toMatchObject({ sound: false, records: next, faults: [fault] });
    const { lost, rewritten, setAside } = await Log.repair(directory);
    expect({ lost, rewritten }).toEqual({ lost: [], rewritten: [] });
    expect(setAside).toMatchObject([{ name: basename(stray) }]);
    expect(await Log.verify(directory)).toMatchObject({ sound: true, next });
    expect(await readable(directory)).toEqual(range(0, next));
  });

  test('is an error behind all that there is for who only reads', async () => {
    const { directory, next, stray } = await linked();
    await using log = await Log.open(directory, { readOnly: true });
    expect(await failure(async () => log.next)).toMatchObject({ code: 'ERR_FORMAT', path: stray });
    expect((await collect(log.read({ limit: next }))).length).toBe(next);
  });
});
