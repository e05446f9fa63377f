import { transferred } from './gone.js';

/** Of this many bytes, but with a `length` of its own that says something else. */
export function lying(bytes: number, length: () => unknown): Uint8Array {
  return Object.defineProperty(Buffer.alloc(bytes, 'x'), 'length', { get: length });
}

class Short extends Uint8Array {
  override get length(): number {
    return 4;
  }
}

/** What isn't the bytes that it says it is; all take more room than they say, or less, or none that can be reckoned. */
export const LIARS: Record<string, () => Uint8Array> = {
  'says it is shorter': () => lying(20_000, () => 4),
  'says it is longer': () => lying(4, () => 200),
  'says it is empty': () => lying(20_000, () => 0),
  'says its length is negative': () => lying(100, () => -100),
  'says its length is a fraction': () => lying(10, () => 3.5),
  'says its length is no number': () => lying(10, () => Number.NaN),
  'says its length is a text': () => lying(10, () => '10'),
  'is of a subclass that says it is shorter': () => new Short(20_000),
  'has only the prototype': () => Object.create(Uint8Array.prototype, { length: { value: 4 } }),
  'stands for one': () => {
    let looks = 0;
    return new Proxy(new Uint8Array(20_000), {
      get: (bytes, key) => (key === 'length' ? (looks++ > 0 ? 20_000 : 4) : Reflect.get(bytes, key)),
    });
  },
  'was transferred': transferred,
};
