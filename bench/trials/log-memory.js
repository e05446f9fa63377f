import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOf, figure } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';

const script = fileURLToPath(new URL('./log-memory-process.js', import.meta.url));
const PATIENCE_MS = 300_000;
const MOST_MAPPED = 1200;
const SEVERAL_MIB = 128;
const SEVERAL = 1000;

export const logMemory = {
  name: 'log-memory',
  title: 'What logs take of memory and of the disk',
  about: `A log on a disk with many segments, each as small as there are (16 KiB): what its writer, and a reader in another
process, have mapped at the end of a loop without a turn of the event loop that has written or drained all of it; some hundreds
may just wait to be unmapped. And how much more heap they take than before, a turn later and after a collection of garbage. Then
many logs with one record of 1000 bytes each: what all of that takes of the disk, by its blocks.`,
  quick: { segments: 500, logs: 200 },
  full: { segments: 10_000, logs: 1000 },

  async run({ disk, cpus, node, options: { segments, logs }, progress }) {
    const start = async (folder) => {
      const process = new PinnedProcess(cpus.join(','), globalThis.process.execPath, [
        ...node,
        '--expose-gc',
        script,
        folder,
      ]);
      started.push(process);
      await process.hear();
      return (line) => {
        process.say(line);
        return process.hear(PATIENCE_MS);
      };
    };
    const started = [];
    const folders = ['log', 'logs'].map((name) => join(disk, name));
    for (const folder of folders) mkdirSync(folder);
    try {
      const written = await (await start(folders[0]))(`write ${segments}`);
      progress(1, 3);
      const read = await (await start(folders[0]))('read');
      progress(2, 3);
      const many = await (await start(folders[1]))(`logs ${logs}`);
      progress(3, 3);
      return { size: 1000, batch: 1, samples: 1, written, read, many };
    } finally {
      await Promise.all(started.map((process) => process.end()));
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    }
  },

  rows({ written, read, many }) {
    const footprint = (name, { before, after, records }) => ({
      group: `a log of ${written.segments} segments`,
      name,
      figures: {
        'segments mapped': figure('', after.segmentsMapped),
        mappings: figure('', after.mappings),
        'heap more': figure('B', after.heapBytes - before.heapBytes),
        'rss more': figure('B', after.rssBytes - before.rssBytes),
      },
      bar: barOf(`at most ${MOST_MAPPED}`, after.segmentsMapped <= MOST_MAPPED, { of: 'segments mapped' }),
      samples: records,
    });
    const most = (SEVERAL_MIB * many.count) / SEVERAL;
    return [
      footprint('its writer', written),
      footprint('its reader', read),
      {
        group: 'logs with one record each',
        name: `${many.count} logs`,
        figures: {
          'of the disk': figure('B', many.bytes),
          'for each': figure('B', many.bytes / many.count),
        },
        bar: barOf(`under ${most} MiB`, many.bytes < most * 2 ** 20, { of: 'of the disk' }),
        samples: many.count,
      },
    ];
  },
};
