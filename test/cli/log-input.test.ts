import { describe, expect, test } from 'vitest';
import { cutterFor, type InputFormat } from '../../lib/cli/input.js';
import { largestIn, makersFor } from '../../lib/cli/log/appendable.js';
import { recordOf } from '../../lib/cli/log/json-record.js';
import type { Appendable } from '../../lib/log/index.js';

const SEGMENT = 1000;

/** What comes of the input, cut in pieces of so many bytes. */
function cut(format: InputFormat, input: Buffer, pieceBytes: number): Appendable[] {
  const cutter = cutterFor(format, largestIn(SEGMENT), makersFor({}));
  const records: Appendable[] = [];
  for (let at = 0; at < input.length; at += pieceBytes) {
    records.push(...cutter.take(input.subarray(at, at + pieceBytes)));
  }
  const last = cutter.end();
  return last === undefined ? records : [...records, last];
}

function frame(value: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(value));
  return Buffer.concat([length, Buffer.from(value)]);
}

const PIECES = [1, 2, 3, 4, 5, 7, 64, 10_000];

describe('however the pieces are cut, the records are the same', () => {
  const values = ['one', '', 'two\rthree', 'é'.repeat(100), '', 'x'];
  const bytes = values.map((value) => Buffer.from(value));

  test.each(PIECES)('lines in pieces of %i', (piece) => {
    expect(cut('lines', Buffer.from(values.join('\n')), piece)).toEqual(bytes);
    expect(cut('lines', Buffer.from(`${values.join('\n')}\n`), piece)).toEqual(bytes);
  });

  test.each(PIECES)('frames in pieces of %i', (piece) => {
    expect(cut('frames', Buffer.concat(['a\nb', ...values].map(frame)), piece)).toEqual([
      Buffer.from('a\nb'),
      ...bytes,
    ]);
  });

  test.each(PIECES)('objects in pieces of %i', (piece) => {
    const input = values.map((value) => JSON.stringify({ value })).join('\n');
    expect(cut('json', Buffer.from(input), piece)).toEqual(values.map((value) => ({ value })));
  });
});

describe('what is no record is told by its place', () => {
  test.each(PIECES)('in pieces of %i', (piece) => {
    const long = Buffer.from(`a\n${'x'.repeat(SEGMENT + 1)}\n`);
    // Where a piece ends just before the line does, nobody knows yet that there is no more of it.
    const andMore = long.indexOf('\n', 2) % piece === 0 ? ' and more' : '';
    expect(() => cut('lines', long, piece)).toThrow(
      `line 2 has ${SEGMENT + 1} bytes${andMore}, too many for a segment of the log: at most ${SEGMENT}`,
    );
    const text = Buffer.concat([frame('a'), Buffer.from('Some text')]);
    expect(() => cut('frames', text, piece)).toThrow('frame 2 is said to have 1701670739 bytes');
    const short = Buffer.concat([frame('a'), frame('b').subarray(0, 4)]);
    expect(() => cut('frames', short, piece)).toThrow('ends within frame 2');
    expect(() => cut('frames', short.subarray(0, 7), piece)).toThrow('ends within frame 2');
    expect(() => cut('json', Buffer.from('{"value":"a"}\nb\n'), piece)).toThrow('line 2: it is no JSON');
  });
});

describe('a record in JSON', () => {
  test('has what it says, and null is what is not there', () => {
    expect(recordOf('{"value":"v"}')).toEqual({ value: 'v' });
    expect(recordOf('{"value":"v","key":null,"headers":null,"timestamp":null,"ttlMs":null}')).toEqual({
      value: 'v',
    });
    expect(recordOf('{"key":{"hex":"FF00"},"value":null}')).toEqual({
      key: Buffer.from([0xff, 0]),
      value: null,
    });
    expect(recordOf('{"value":{"base64":"/wA="},"ttlMs":5,"timestamp":1.5}')).toEqual({
      value: Buffer.from([0xff, 0]),
      ttlMs: 5,
      timestamp: 1.5,
    });
    expect(recordOf('{"value":"","headers":{"a":"1","b":{"base64":"_w"}}}').headers).toEqual([
      ['a', '1'],
      ['b', Buffer.from([0xff])],
    ]);
    expect(recordOf('{"value":"","headers":[["a","1"],["a","2"]]}').headers).toEqual([
      ['a', '1'],
      ['a', '2'],
    ]);
    expect(recordOf('{"value":"","timestamp":"2023-11-14T22:13:20.5Z"}').timestamp).toEqual({
      us: 1_700_000_000_500_000,
    });
    expect(recordOf('{"value":"\\ud83d\\ude00"}').value).toBe('😀');
    expect(recordOf('{"value":"","timestamp":{"us":1}}').timestamp).toEqual({ us: 1 });
  });

  test.each([
    ['', 'it is no JSON'],
    ['{"value":', 'it is no JSON'],
    ['["value"]', 'it is no object'],
    ['null', 'it is no object'],
    ['{"key":"k"}', 'a record needs a value'],
    ['{"value":"v","header":{}}', "did you mean 'headers'?"],
    ['{"value":"v","offset":5}', "a record has no 'offset'; it has key, value"],
    ['{"value":5}', 'the value must be a string'],
    ['{"value":{}}', 'the value must be a string'],
    ['{"value":{"base64":"?"}}', 'the value must be a string'],
    ['{"value":{"base64":"a"}}', 'the value must be a string'],
    ['{"value":{"base64":"aa=="}}', undefined],
    ['{"value":{"hex":"abc"}}', 'the value must be a string'],
    ['{"value":{"hex":"ab","base64":"aaaa"}}', 'the value must be a string'],
    ['{"value":"v","key":["a"]}', 'the key must be a string'],
    ['{"value":"v","headers":"a"}', 'headers must be'],
    ['{"value":"v","headers":["a"]}', 'a header is a pair'],
    ['{"value":"v","headers":[["a"]]}', 'a header is a pair'],
    ['{"value":"v","headers":{"a":1}}', "the header 'a' must be a string"],
    ['{"value":"v","timestamp":"soon"}', 'timestamp must be'],
    ['{"value":"v","timestamp":{"ms":1}}', 'timestamp must be'],
    ['{"value":"v","timestamp":"record 5"}', 'timestamp must be'],
    ['{"value":"v","timestamp":"1/2/2026 (junk)"}', 'timestamp must be'],
    ['{"value":"v","timestamp":"2026-11-21 (junk)"}', 'timestamp must be'],
    ['{"value":"v","timestamp":"Sat, 21 Nov 2026 00:00:00 EST"}', 'timestamp must be'],
    ['{"value":"v","timestamp":"2025-02-29"}', 'timestamp must be'],
    ['{"value":"v","timestamp":"2024-02-29"}', undefined],
    ['{"value":"v","timestamp":"@1700000000000"}', undefined],
  ])('%s', (text, hint) => {
    if (hint === undefined) expect(recordOf(text)).toBeDefined();
    else expect(() => recordOf(text)).toThrow(hint);
  });
});
