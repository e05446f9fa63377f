import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { inspect, Reader, Writer } from '../../lib/index.js';
import { endAll } from '../crash/fixtures/child.js';
import { newDirectory } from '../helpers/run-directory.js';
import { asleep } from '../waking/fixtures/asleep.js';
import { mayContain, NAMESPACES, namespacesOf, processIn, startIn } from '../waking/fixtures/container.js';
import { blockedOn, until } from '../waking/fixtures/kernel.js';

const SENDER = new URL('../waking/fixtures/sender.js', import.meta.url).href;
const WAITER = new URL('../waking/fixtures/waiter.js', import.meta.url).href;
const LARGE = 8000;

afterEach(endAll);

describe.skipIf(!mayContain(newDirectory()))('containers that share a directory only (needs unshare)', () => {
  test('have nothing else in common, and wake each other', async () => {
    const directory = newDirectory();
    const writer = startIn('one', directory, SENDER, { create: {}, writer: { idle: 'park' } });
    await writer.expect('open');
    const reader = startIn('two', directory, WAITER, { reader: { gate: true, name: 'two' } });
    await reader.expect('open');
    const all = [process.pid, processIn(writer), processIn(reader)].map(namespacesOf);
    for (const [i] of NAMESPACES.entries()) expect(new Set(all.map((each) => each[i])).size).toBe(3);

    let parked = 0;
    for (const how of ['ready', 'next', 'batch']) {
      reader.send({ how, parks: true });
      await reader.expect('parked');
      writer.send({ write: [how] });
      await writer.expect('done');
      const { data, status, waits } = await reader.expect('woken');
      expect({ data, status }).toEqual({ data: [how], status: 'alive' });
      expect(waits).toEqual({ parked: ++parked, woken: parked, late: 0 });
    }
    // The other way round: it makes room by reading what is there.
    writer.send({ fill: LARGE });
    await writer.expect('done');
    writer.send({ send: [LARGE], parks: true });
    await writer.expect('parked');
    reader.send({ how: 'ready' });
    await reader.expect('woken');
    const { waits } = await writer.expect('sent');
    expect(waits.woken + waits.late).toBe(1);
    // It may look by itself just when room was made; but not wait for longer than that.
    expect(waits.parked).toBe(1);
    expect(inspect(join(directory, 'channel'))).toMatchObject({
      status: 'alive',
      readers: [{ name: 'two', state: 'gating', alive: true }],
    });
  });

  test('wake a thread of another one that is blocked', async () => {
    const directory = newDirectory();
    const writer = startIn('one', directory, SENDER, { create: {} });
    await writer.expect('open');
    const reader = startIn('two', directory, WAITER, {});
    await reader.expect('open');
    for (let times = 1; times <= 3; times++) {
      reader.send({ how: 'waitSync' });
      await until(() => blockedOn(join(directory, 'channel'), processIn(reader)) > 0);
      writer.send({ write: ['x'] });
      await writer.expect('done');
      const { data, waits } = await reader.expect('woken');
      expect(data).toEqual(['x']);
      expect(waits.late).toBe(0);
      expect(waits.woken).toBeGreaterThan(0);
    }
  });

  test('tell whether one of them died, and take its place', async () => {
    const directory = newDirectory();
    const path = join(directory, 'channel');
    const first = startIn('one', directory, SENDER, { create: {} });
    await first.expect('open');
    const reader = startIn('two', directory, WAITER, { reader: { gate: true, onDeath: 'wait' } });
    await reader.expect('open');
    first.send({ write: ['last words'] });
    await first.expect('done');
    // Both are number 1 in their container; here that is somebody else.
    const { writerPid, readers } = inspect(path);
    expect([writerPid, readers[0].pid]).toEqual([1, 1]);
    await first.end();
    expect(inspect(path).status).toBe('dead');
    reader.send({ how: 'ready' });
    expect(await reader.expect('woken')).toMatchObject({ data: ['last words'], status: 'dead' });
    reader.send({ how: 'ready', parks: true });
    await reader.expect('parked');
    const second = startIn('three', directory, SENDER, {});
    expect(await second.expect('open')).toMatchObject({ records: 1 });
    second.send({ write: ['and on'] });
    await second.expect('done');
    expect(await reader.expect('woken')).toMatchObject({ data: ['and on'], status: 'alive' });
    // A reader that is gone with its container holds nobody back.
    await reader.end();
    second.send({ send: Array.from({ length: 20 }, () => LARGE) });
    await second.expect('sent');
    expect(inspect(path).readers).toEqual([]);
  });

  test('and a process outside of them wake each other', async () => {
    const directory = newDirectory();
    using writer = await Writer.create(join(directory, 'channel'), { capacity: '64KiB', idle: 'park' });
    const inside = startIn('one', directory, WAITER, { reader: { gate: true } });
    await inside.expect('open');
    inside.send({ how: 'ready', parks: true });
    await inside.expect('parked');
    using outside = await Reader.open(writer.path, { idle: 'park' });
    const ready = outside.ready();
    await asleep(outside);
    writer.write('to both');
    expect(await ready).toBe(true);
    expect(await inside.expect('woken')).toMatchObject({ data: ['to both'] });
    outside.close();
    while (writer.tryWrite(Buffer.alloc(LARGE)) > 0);
    const sent = writer.send(Buffer.alloc(LARGE));
    await asleep(writer);
    inside.send({ how: 'ready' });
    await inside.expect('woken');
    await sent;
  });
});
