import { LAST_BYTE, Source } from '../harness/participant.js';

const DIGITS = 11;

/**
 * What a message of `size` bytes is where messages are values: text of that many characters, or bytes. The receiver's
 * copy is its own, so the sender uses its bytes again.
 */
export const messageForms = {
  text(size) {
    const rest = String.fromCharCode(LAST_BYTE).padStart(size - DIGITS, 'x');
    return {
      make: (number) => `${number}`.padEnd(DIGITS) + rest,
      numberOf: (text) => Number.parseInt(text, 10),
      lastByteOf: (text) => text.charCodeAt(size - 1),
    };
  },
  bytes(size) {
    const source = new Source(size);
    return {
      make(number) {
        source.number(number);
        return source.bytes;
      },
      numberOf: (bytes) => bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24),
      lastByteOf: (bytes) => bytes[size - 1],
    };
  },
};
