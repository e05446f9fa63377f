import type { Writer } from '../../lib/index.js';
import { binding, type FileHandle } from '../../lib/native.js';

/** A writer that can be made to end as by `kill -9`: its lock is dropped, and nothing more is stored. */
export interface Mortal<In> {
  writer: Writer<In>;
  crash(): void;
}

/** Runs `make` (Writer.create, Writer.resume …) and keeps hold of the file that it opened. */
export async function mortal<In>(make: () => Promise<Writer<In>>): Promise<Mortal<In>> {
  const native = binding();
  const { createFile, openFile } = native;
  let file: FileHandle | undefined;
  native.createFile = async (...given) => {
    file = await createFile(...given);
    return file;
  };
  native.openFile = (...given) => {
    const opened = openFile(...given);
    // What is created is the writer's own; what it opens beside that is what it takes the place of.
    file ??= opened;
    return opened;
  };
  let writer: Writer<In>;
  try {
    writer = await make();
  } finally {
    Object.assign(native, { createFile, openFile });
  }
  return {
    writer,
    crash() {
      // Its timer beats on for as long as this process lives; a dead writer's heart stands still.
      writer.heartbeat = () => {};
      native.closeFile(file as FileHandle);
    },
  };
}
