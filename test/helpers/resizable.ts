type Resizable = ArrayBuffer & { resize(to: number): void };
/** The types of Node's oldest version that is supported don't know it yet. */
const MakeBuffer = ArrayBuffer as unknown as new (
  length: number,
  options: { maxByteLength: number },
) => Resizable;

/** A view whose length is that of what it is a view of. */
export function resizable(length: number, most: number): { data: Uint8Array; resize(to: number): void } {
  const buffer = new MakeBuffer(length, { maxByteLength: most });
  return { data: new Uint8Array(buffer), resize: (to) => buffer.resize(to) };
}
