import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as layout from '../../lib/channel/layout.js';

test('layout.ts and native/layout.h name the same numbers', () => {
  const source = readFileSync(new URL('../../native/layout.h', import.meta.url), 'utf8');
  const inC = [...source.matchAll(/^#define MR_(\w+) (\S+)/gm)].map(([, name, value]) => [
    name,
    Number(value),
  ]);
  expect(inC.length).toBeGreaterThan(90);
  expect(Object.fromEntries(inC)).toEqual({ ...layout });
});

test('words of different owners are at least 128 bytes apart', () => {
  const owners = [
    layout.STATE_OFFSET,
    layout.TAIL_OFFSET,
    layout.LIMIT_OFFSET,
    layout.HEARTBEAT_OFFSET,
    layout.WAKE_SEQUENCE_OFFSET,
    layout.WAITERS_OFFSET,
    layout.ROOM_WANTED_OFFSET,
    layout.ROOM_SEQUENCE_OFFSET,
    layout.REGISTRATION_OFFSET,
    layout.DURABLE_OFFSET,
    layout.REFUSALS_OFFSET,
  ];
  for (let i = 1; i < owners.length; i++) expect(owners[i] - owners[i - 1]).toBeGreaterThanOrEqual(128);
});
