import { inspect, type ReaderRecord } from '../../index.js';
import { countOption, onePath, type Values, type Verb } from '../command.js';
import { type Output, say } from '../output.js';
import { asObject, ENCODING_OPTIONS, type Encoding, encodingOf, preview } from '../payload.js';
import { count, time, toJson } from '../words.js';
import { refuseLog } from './log-instead.js';
import { placeInChannel } from './place.js';
import { backward, checkEnd, forward, Gap, observe, seekEnd } from './walk.js';

export const dump: Verb = {
  name: 'dump',
  summary: 'show the records of a channel, whatever state it is in',
  help: `millrace dump PATH [--from PLACE] [--limit N] [--reverse] [--text|--hex|--base64] [--full] [--json]

Shows a line for each record that is there now: where it starts, its number, type, size and payload, and its time
and tag where the channel has them. Damage is shown in its place, and what follows it is read; then the exit code is 1.
Nothing in the channel changes, and its writer does not notice.

  --from PLACE    where to begin: oldest (the default), latest, a position, record:N, a time such as 2026-11-21 or
                  time:2026-11-21T05:00:00Z, or @ and milliseconds since 1970, UTC unless it says its zone; with --reverse
                  the records before that place are shown (before oldest none), and the default is latest
  --limit N       no more than N records
  --reverse       last record first
  --text, --hex, --base64
                  how to show payloads; by default text where it is UTF-8 without a NUL, else hex; with --json text where it is
                  UTF-8, else base64
  --full          payloads as a whole, not their beginnings
  --json          an object a line, as millrace tail has it, payloads as a whole

Examples
  millrace dump /dev/shm/orders --limit 20
  millrace dump /dev/shm/orders --from record:1000 --hex
  millrace dump /dev/shm/orders --reverse --limit 1 --json`,
  options: {
    from: { type: 'string' },
    limit: { type: 'string' },
    reverse: { type: 'boolean' },
    ...ENCODING_OPTIONS,
    full: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(values, paths, output) {
    const path = onePath(dump, paths);
    const limit = countOption(dump, values, 'limit', 1, Number.POSITIVE_INFINITY);
    const otherwise = values.reverse === true ? 'latest' : 'oldest';
    const from = values.from === undefined ? otherwise : placeInChannel(dump, String(values.from));
    refuseLog(path, 'read');
    const layout = layoutFor(values, path, output);
    using reader = await observe(path);
    // A live writer may write faster than this reads: the end is where it is now.
    const end = inspect(path).status === 'alive' ? seekEnd(reader) : Number.POSITIVE_INFINITY;
    if (from === 'latest') seekEnd(reader);
    else reader.seek(from);
    if (layout.head !== undefined) output.line(layout.head);
    let sound = true;
    let shown = 0;
    for (const step of values.reverse === true ? backward(reader) : forward(reader, end)) {
      if (step instanceof Gap) {
        if (step.damage !== undefined) sound = false;
        output.line(layout.gap(step));
        say(step.text);
      } else {
        if (output.line(layout.record(step))) await output.flush();
        if (++shown === limit) return sound;
      }
    }
    if (sound) checkEnd(reader);
    return sound;
  },
};

interface Layout {
  head?: string;
  record(record: ReaderRecord): string;
  gap(gap: Gap): string;
}

function layoutFor(values: Values, path: string, output: Output): Layout {
  const encoding = encodingOf(dump, values);
  if (values.json !== true) return columns(path, encoding, values.full === true, output);
  return {
    record: (record) => toJson(asObject(record, encoding)),
    gap: ({ damage, overwritten, next }) =>
      toJson({
        gap: damage === undefined ? { overwritten } : { code: damage.code, position: damage.position, next },
      }),
  };
}

const PREVIEW = 64;
const LEAST_PREVIEW = 16;
const TIME_WIDTH = 27;

function columns(path: string, encoding: Encoding, full: boolean, output: Output): Layout {
  const info = inspect(path);
  const position = Math.max(8, String(info.tail + info.capacity).length);
  const number = Math.max(6, String(info.records).length);
  const fixed = (cells: (string | number)[]) =>
    `${String(cells[0]).padStart(position)}  ${String(cells[1]).padStart(number)}  ${String(cells[2]).padStart(5)}  ` +
    (info.timestamps ? `${String(cells[3]).padEnd(TIME_WIDTH)}  ${String(cells[4]).padStart(5)}  ` : '') +
    `${String(cells[5]).padStart(7)}  `;
  const heading = fixed(['POSITION', 'RECORD', 'TYPE', 'TIME', 'TAG', 'SIZE']);
  const left = output.width === undefined ? PREVIEW : Math.max(LEAST_PREVIEW, output.width - heading.length);
  const most = full ? Number.MAX_SAFE_INTEGER : left;
  return {
    head: `${heading}PAYLOAD`,
    record: ({ position, record, type, timestamp, tag, data }) =>
      fixed([position, record, type, time(timestamp ?? 0), tag ?? 0, data.length]) +
      preview(data, encoding, most),
    gap: ({ damage, overwritten, next }) => {
      if (damage === undefined) return `--- ${count(overwritten)} records were overwritten`;
      const rest = next === undefined ? 'nothing behind it can be read' : `the stream goes on at ${next}`;
      return `--- damaged at position ${damage.position}; ${rest}`;
    },
  };
}
