import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { barOf, curve, figure, sum } from '../harness/figures.js';
import { PinnedProcess } from '../harness/process.js';
import { spread } from '../harness/statistics.js';

const script = fileURLToPath(new URL('./log-seek-process.js', import.meta.url));
const SIZE = 100;
const SEEKS = 1000;
const ADDED = 10_000;
const PATIENCE_MS = 300_000;

const SEEK_US = 1000;
const CLEAN_MS = 200;
const KILLED_MS = 2000;

export const logSeek = {
  name: 'log-seek',
  title: 'Places in a log, and opening it',
  about: `A log of many segments on a disk, all of it in the page cache, records of ${SIZE} bytes. ${SEEKS} seeks to random
offsets, and to random times; with each the record there is read and checked. Opening: \`Log.open\` alone, in a process that has
just been started, after one that had closed it, and after one that had appended ${ADDED} records and was gone by kill -9. How
many segments opening has mapped is counted in the process's own map.`,
  quick: { segments: 100, segmentKiB: 1024, turns: 2 },
  full: { segments: 100, segmentKiB: 16384, turns: 10 },

  async run({ disk, cpus, node, options: { segments, segmentKiB, turns }, progress, signal }) {
    const folder = join(disk, 'log');
    const args = [...node, script, folder, String(segmentKiB * 1024), String(SIZE)];
    const use = async (work) => {
      const process = new PinnedProcess(cpus.join(','), globalThis.process.execPath, args);
      const ask = (line) => {
        process.say(line);
        return process.hear(PATIENCE_MS);
      };
      try {
        await process.hear(PATIENCE_MS);
        return await work(ask, await ask('opened'));
      } finally {
        await process.end();
      }
    };
    mkdirSync(folder);
    try {
      const filled = await use(async (ask) => {
        const facts = await ask(`fill ${segments}`);
        await ask('finish');
        return facts;
      });
      const done = { clean: [], killed: [], offsets: [], times: [] };
      for (let turn = 0; turn < turns && !signal.aborted; turn++) {
        await use(async (ask, opened) => {
          done.clean.push(opened);
          done.offsets.push(await ask(`offsets ${SEEKS}`));
          done.times.push(await ask(`times ${SEEKS}`));
          await ask(`add ${ADDED}`);
          await ask('die').catch(() => {});
        });
        await use(async (ask, opened) => {
          done.killed.push(opened);
          await ask('finish');
        });
        progress(turn + 1, turns);
      }
      return { size: SIZE, segmentBytes: segmentKiB * 1024, ...filled, ...done };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  rows({ segments, clean, killed, offsets, times }) {
    const log = `a log of ${segments} segments`;
    const seeks = (name, turns) => {
      const median = { unit: 'us', ...spread(turns.map(({ us }) => us.p50)) };
      return {
        group: `${SEEKS} seeks in ${log}`,
        name,
        figures: {
          median,
          p99: { unit: 'us', ...spread(turns.map(({ us }) => us.p99)) },
          'segments mapped': figure('', turns.at(-1).mapped),
        },
        bar: barOf('median under 1 ms', median.median < SEEK_US, { of: 'median', limit: SEEK_US }),
        samples: sum(turns.map(({ count }) => count)),
      };
    };
    const opening = (name, turns, mostMs) => {
      const took = { unit: 'ms', ...spread(turns.map(({ openMs }) => openMs)) };
      return {
        group: `opening ${log}`,
        name,
        figures: { took, 'segments mapped': figure('', spread(turns.map(({ mapped }) => mapped)).median) },
        bar: barOf(`under ${mostMs} ms`, took.median < mostMs, { of: 'took', limit: mostMs }),
        samples: turns.length,
      };
    };
    return [
      seeks('by offset', offsets),
      seeks('by time', times),
      opening('after it was closed', clean, CLEAN_MS),
      opening('after kill -9', killed, KILLED_MS),
    ];
  },

  distributions({ offsets, times }) {
    const series = (name, { us, count }) => ({ name, quantiles: curve(us, count) });
    return [
      {
        title: 'Seeks of the last turn',
        unit: 'us',
        series: [series('by offset', offsets.at(-1)), series('by time', times.at(-1))],
      },
    ];
  },
};
