import { binding } from '../../dist/native.js';

/** Does `work` and keeps hold of each file that is opened meanwhile, so that a dead process can be had without one. */
export async function keepingFiles(work) {
  const native = binding();
  const { createFile, openFile } = native;
  const files = [];
  native.createFile = async (...given) => {
    const file = await createFile(...given);
    files.push(file);
    return file;
  };
  native.openFile = (...given) => {
    const file = openFile(...given);
    files.push(file);
    return file;
  };
  try {
    return { result: await work(), files };
  } finally {
    Object.assign(native, { createFile, openFile });
  }
}

/** Lets go of the files of a writer or reader, as the kernel does when a process ends; nothing more is stored. */
export function die({ result, files }) {
  // A writer's timer beats on for as long as this process lives; a dead one's heart stands still.
  result.heartbeat = () => {};
  for (const file of files) binding().closeFile(file);
}
