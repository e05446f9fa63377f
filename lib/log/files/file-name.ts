import { isUtf8 } from 'node:buffer';

/** What most file systems take, in bytes. */
const LONGEST = 255;

/** A file's name as text. Where it is not UTF-8, each byte that is not is `\xNN`, and a backslash is two. */
export function textOf(name: Buffer): string {
  if (isUtf8(name)) return name.toString();
  let text = '';
  for (let at = 0; at < name.length; ) {
    const end = [1, 2, 3, 4].map((bytes) => at + bytes).find((to) => isUtf8(name.subarray(at, to)));
    const character = end === undefined ? undefined : name.toString('utf8', at, end);
    text += character === undefined ? `\\x${name.toString('hex', at, at + 1)}` : escaped(character);
    at = end ?? at + 1;
  }
  return text;
}

function escaped(character: string): string {
  return character === '\\' ? '\\\\' : character;
}

/** A name that ends like this, and leaves room for what others add to it: shortened where it would be too long. */
export function fitted(name: string, ending: string, room: number): string {
  const bytes = Buffer.from(name);
  let end = LONGEST - room - Buffer.byteLength(ending);
  if (bytes.length <= end) return name + ending;
  while (isWithinCharacter(bytes[end])) end--;
  return bytes.toString('utf8', 0, end) + ending;
}

function isWithinCharacter(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
