import { resizable } from './resizable.js';

/** Bytes whose buffer went elsewhere, to another thread, say. */
export function transferred(): Uint8Array {
  const bytes = new Uint8Array(4);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

/** Bytes whose buffer ends before them by now. */
export function cutOff(): Uint8Array {
  const { data, resize } = resizable(8, 8);
  const bytes = new Uint8Array(data.buffer, 4, 4);
  resize(2);
  return bytes;
}
