import { lengthOf, trueLength } from '../../channel/index.js';
import { invalidArgument } from '../../errors.js';

/** Up to so many characters a loop over them is quicker than a call into the runtime. */
const SHORT_TEXT = 20;

/** How many bytes it is; a string as UTF-8. */
export function bytesOf(data: Uint8Array | string): number {
  if (typeof data !== 'string') return lengthOf(data);
  return data.length <= SHORT_TEXT && isAscii(data) ? data.length : Buffer.byteLength(data);
}

/** Writes it as its `bytes` bytes. Refuses what has another length by now, as a buffer may that was resized. */
export function putBytes(target: Buffer, at: number, data: Uint8Array | string, bytes: number): void {
  if (typeof data !== 'string') {
    if (trueLength.call(data) !== bytes)
      throw invalidArgument('A record became longer or shorter while it was written');
    target.set(data, at);
  } else if (bytes !== data.length) target.write(data, at, bytes);
  else if (bytes <= SHORT_TEXT) putAscii(target, at, data);
  // Of ASCII the same, and quicker.
  else target.write(data, at, bytes, 'latin1');
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

function putAscii(target: Buffer, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) target[at + i] = text.charCodeAt(i);
}
