import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isInRam } from '../../channel/index.js';
import { MillraceError } from '../../index.js';
import type { Verb } from '../command.js';
import { directoryOf, isLog } from '../directory.js';
import { interruption } from '../interruption.js';
import { toJson, visible } from '../words.js';
import { type Finding, type Findings, ok } from './finding.js';
import { machineFindings } from './machine.js';
import { placeFindings } from './place.js';
import { syncFinding } from './syncs.js';
import { trialFindings } from './trial.js';

export const doctor: Verb = {
  name: 'doctor',
  summary: 'tell whether a machine and a directory are fit for channels and logs',
  help: `millrace doctor [DIRECTORY] [--json]

Tells what one has to know of this machine, and of a directory (the one of shmPath, as a rule /dev/shm), before trusting it with
channels and logs. Each line is ok; a warning of what is slow, small or easily lost; or a fault: that it will not work; with what
to do about it. Exits with 1 where there is a fault, or where Ctrl-C ended it.

It makes a small channel there, which loses its name at once, and has another process read it, sleep until it is woken, and
die; on a disk it measures some syncs. Nothing is left behind. For a log's directory the directory around it is tried.

  --json    an object a line: state (ok, warning or fault), check (what was looked at) and message

Examples
  millrace doctor
  millrace doctor /var/lib/app
  docker run --rm IMAGE npx millrace doctor --json | jq 'select(.state != "ok")'`,
  options: { json: { type: 'boolean' } },
  async run(values, paths, output) {
    const directory = directoryOf(doctor, paths);
    const show = values.json === true ? (found: Finding) => toJson(found) : asText;
    const stop = interruption();
    let sound = true;
    // Until all was looked at: whoever stops reading ends it before.
    process.exitCode = 1;
    for await (const found of examine(directory, stop)) {
      // What was looked at meanwhile was not looked at whole.
      if (stop.aborted) break;
      output.line(show(found));
      await output.flush();
      sound &&= found.state !== 'fault';
    }
    if (!stop.aborted) return sound;
    throw new MillraceError('ERR_ABORTED', `interrupted before all of ${directory} was looked at`);
  },
};

async function* examine(directory: string, stop: AbortSignal): Findings {
  let works = true;
  for (const found of machineFindings()) {
    yield found;
    works &&= found.state !== 'fault';
  }
  if (process.platform !== 'linux') return;
  const place = placeOf(directory);
  if (place !== directory) {
    yield ok('log', `${visible(directory)} has a log in it: ${visible(place)}, around it, is tried`);
  }
  for (const found of placeFindings(place)) {
    yield found;
    works &&= found.state !== 'fault';
  }
  if (!works || stop.aborted) return;
  for await (const found of trialFindings(place, stop)) {
    yield found;
    works &&= found.state !== 'fault';
  }
  if (works && !stop.aborted && !isInRam(place)) yield await syncFinding(place, stop);
}

/** What comes into a log's directory is set aside by who opens the log. */
function placeOf(directory: string): string {
  const around = dirname(directory);
  return isLog(directory) && statSync(around).dev === statSync(directory).dev ? around : directory;
}

const STATE_WIDTH = 'warning'.length;
const CHECK_WIDTH = 'inotify instances'.length;

function asText({ state, check, message }: Finding): string {
  return `${state.padEnd(STATE_WIDTH)}  ${check.padEnd(CHECK_WIDTH)}  ${visible(message)}`;
}
