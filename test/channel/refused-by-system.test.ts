import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { inspect, Reader, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { failure } from '../helpers/failure.js';
import { asNobody, isRoot } from '../helpers/nobody.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { mappingsIn, until } from '../native/addon.js';

describe.skipIf(!isRoot)('without permission (needs root, to drop it)', () => {
  let directory: string;

  beforeAll(() => {
    directory = newDirectory();
    for (const name of [directory, dirname(directory)]) chmodSync(name, 0o755);
  });

  test('a reader of a ring is told to observe, and can', async () => {
    const path = join(directory, 'readable');
    using writer = await Writer.create(path, { capacity: 65536, fileMode: 0o644 });
    writer.write('for all');
    const before = statSync(path).mtimeMs;
    const [refused, records, status, readers, resumed, abandoned] = asNobody(`
      const path = ${JSON.stringify(path)};
      const reader = await Reader.open(path, { gate: false, from: 'oldest' });
      return [
        await outcome(() => Reader.open(path)),
        reader.readBatch(10).map(({ data }) => data.toString()),
        reader.status,
        inspect(path).readers,
        await outcome(() => Writer.resume(path)),
        await outcome(() => declareAbandoned(path)),
      ];
    `);
    expect(refused).toMatchObject({ code: 'ERR_PERMISSION', path });
    expect(refused.message).toContain('gate: false');
    expect([records, status, readers]).toEqual([['for all'], 'alive', []]);
    for (const error of [resumed, abandoned]) expect(error).toMatchObject({ code: 'ERR_PERMISSION', path });
    expect(statSync(path).mtimeMs).toBe(before);
  });

  test('a linear channel is read as it is; one that may not be read is not', async () => {
    const path = join(directory, 'linear');
    using writer = await Writer.create(path, { mode: 'linear', capacity: 16384, fileMode: 0o644 });
    const secret = join(directory, 'secret');
    using _ = await Writer.create(secret, { capacity: 65536 });
    writer.write('for all');
    const [records, secrets, looked, created] = asNobody(`
      return [
        (await Reader.open(${JSON.stringify(path)})).readBatch(10).map(({ data }) => data.toString()),
        await outcome(() => Reader.open(${JSON.stringify(secret)}, { gate: false })),
        await outcome(() => inspect(${JSON.stringify(secret)})),
        await outcome(() => Writer.create(${JSON.stringify(join(directory, 'new'))})),
      ];
    `);
    expect(records).toEqual(['for all']);
    expect(secrets).toMatchObject({ code: 'ERR_PERMISSION', path: secret });
    expect(looked).toMatchObject({ code: 'ERR_PERMISSION', path: secret });
    expect(created).toMatchObject({ code: 'ERR_PERMISSION', path: join(directory, 'new') });
    expect(statSync(secret).mode & 0o777).toBe(0o600);
  });

  test('who may write the file may hold the writer back', async () => {
    const path = join(directory, 'writable');
    using writer = await Writer.create(path, { capacity: 65536 });
    chmodSync(path, 0o666);
    const states = asNobody(`
      const reader = await Reader.open(${JSON.stringify(path)}, { name: 'nobody' });
      return inspect(${JSON.stringify(path)}).readers.map(({ state, name }) => [state, name]);
    `);
    expect(states).toEqual([['gating', 'nobody']]);
    expect(writer.readers().every(({ alive }) => !alive)).toBe(true);
  });
});

describe.skipIf(!isRoot)(
  'in a directory that may be written to, but not be read (needs root, to drop that)',
  () => {
    test('who asks for the disk is refused, and the channel stays as good as it is', async () => {
      const directory = newDirectory();
      chmodSync(dirname(directory), 0o755);
      chmodSync(directory, 0o1733);
      const path = join(directory, 'channel');
      const [refused, written] = asNobody(`
      const writer = await Writer.create(${JSON.stringify(path)}, { mode: 'linear', capacity: 16384 });
      writer.write('one');
      const refused = await outcome(() => writer.flush());
      const written = await outcome(() => writer.write('two'));
      return [refused, written];
    `);
      expect(refused).toMatchObject({ code: 'ERR_PERMISSION', path });
      expect(written).toBe(32);
      using writer = await Writer.resume(path);
      expect(await writer.flush()).toBe(writer.position);
    });
  },
);

test('where there are no locks by open file description that is told of the file system', async () => {
  const { writer, crash } = await mortal(() => Writer.create(newPath(), { capacity: 65536 }));
  crash();
  for (const code of ['EINVAL', 'ENOLCK', 'ENOSYS']) {
    const cause = Object.assign(new Error('no'), { code, errno: -22, syscall: 'fcntl(F_OFD_SETLK)' });
    const locking = vi.spyOn(binding(), 'lockByte').mockImplementation(() => {
      throw cause;
    });
    try {
      const refused = await failure(() => Writer.resume(writer.path));
      expect(refused).toMatchObject({ code: 'ERR_FILESYSTEM', path: writer.path, cause });
    } finally {
      locking.mockRestore();
    }
  }
});

test('so is who looks at them, to know who lives', async () => {
  using writer = await Writer.create(newPath(), { capacity: 65536 });
  using reader = await Reader.open(writer.path);
  const cause = Object.assign(new Error('no'), { code: 'ENOLCK', errno: -37, syscall: 'fcntl(F_OFD_GETLK)' });
  const looking = vi.spyOn(binding(), 'isByteLocked').mockImplementation(() => {
    throw cause;
  });
  try {
    for (const look of [() => inspect(writer.path), () => writer.readers(), () => reader.status]) {
      expect(await failure(look)).toMatchObject({ code: 'ERR_FILESYSTEM', path: writer.path, cause });
    }
  } finally {
    looking.mockRestore();
  }
});

/** A disk that copies what is written anew, and so may have no room for it. */
function mountBtrfs(): string | undefined {
  const directory = newDirectory();
  const image = `${directory}.img`;
  writeFileSync(image, '');
  truncateSync(image, 128 * 2 ** 20);
  if (spawnSync('mkfs.btrfs', ['-q', image]).status !== 0) return undefined;
  return spawnSync('mount', ['-o', 'loop', image, directory]).status === 0 ? directory : undefined;
}

const btrfs = isRoot ? mountBtrfs() : undefined;

test.skipIf(btrfs === undefined)(
  'on a btrfs that is full a writer goes on in its file (needs root and mkfs.btrfs)',
  () => {
    const directory = btrfs as string;
    const code = `
    const { Writer } = await import(${JSON.stringify(pathToFileURL(resolve('dist/index.js')).href)});
    const { closeSync, fsyncSync, openSync, writeSync } = await import('node:fs');
    const writer = await Writer.create(${JSON.stringify(join(directory, 'channel'))}, { capacity: 65536 });
    const lap = () => {
      for (let i = 0; i < 16; i++) writer.write(Buffer.alloc(5000, i));
    };
    const sync = () => {
      const file = openSync(writer.path, 'r+');
      fsyncSync(file);
      closeSync(file);
    };
    lap();
    sync();
    const ballast = openSync(${JSON.stringify(join(directory, 'ballast'))}, 'w');
    for (const bytes of [65536, 512]) {
      try {
        for (;;) writeSync(ballast, Buffer.alloc(bytes));
      } catch (error) {
        console.log(error.code);
      }
    }
    sync();
    lap();
    console.log('goes on');
  `;
    try {
      const { stdout, status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
        encoding: 'utf8',
      });
      expect({ stdout, status, signal }).toEqual({
        stdout: 'ENOSPC\nENOSPC\ngoes on\n',
        status: 0,
        signal: null,
      });
    } finally {
      spawnSync('umount', ['-l', directory]);
      rmSync(`${directory}.img`);
    }
  },
);

const MIB = 2 ** 20;
const small = isRoot ? mountSmall() : undefined;

function mountSmall(): string | undefined {
  const directory = newDirectory();
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]).status === 0
    ? directory
    : undefined;
}

describe.skipIf(small === undefined)('on a disk of 4 MiB (needs root, to mount one)', () => {
  const directory = small as string;
  afterAll(() => {
    spawnSync('umount', ['-l', directory]);
  });

  test('what does not fit is refused with the numbers, and nothing is left behind', async () => {
    const path = join(directory, 'channel');
    for (const capacity of ['4MiB', '8MiB', '1GiB']) {
      const error = await failure(() => Writer.create(path, { capacity }));
      expect(error).toMatchObject({ code: 'ERR_NO_SPACE', path, errno: -28, syscall: 'fallocate' });
      expect(error.needed).toBeGreaterThan(4 * MIB);
      expect(error.available).toBeGreaterThan(3 * MIB);
      expect(error.available).toBeLessThanOrEqual(4 * MIB);
      expect(error.message).toMatch(
        new RegExp(`^No space for ${path}: .+ \\d+ are free\\. A container's .+ --shm-size$`),
      );
      expect(readdirSync(directory)).toEqual([]);
    }
    const writer = await Writer.create(path, { capacity: '2MiB' });
    using reader = await Reader.open(path, { gate: true });
    const payload = Buffer.alloc(100_000, 'x');
    for (let i = 0; i < 50; i++) {
      writer.write(payload);
      expect(reader.read()?.data.equals(payload)).toBe(true);
    }
    writer.close();
    const second = join(directory, 'second');
    expect((await failure(() => Writer.create(second, { capacity: '2MiB' }))).code).toBe('ERR_NO_SPACE');
    expect(readdirSync(directory)).toEqual(['channel']);
  });

  test('a hole that somebody punched is filled before a writer goes on, or that is refused', async () => {
    const path = join(directory, 'channel');
    const { crash } = await mortal(() => Writer.create(path, { capacity: '1MiB', replace: true }));
    crash();
    // What is still mapped of files that are gone would make room later.
    await until('all is unmapped', () => mappingsIn(directory) === 0);
    const punched = spawnSync('fallocate', ['-p', '-o', String(MIB / 2), '-l', String(MIB / 4), path]);
    expect(punched.status).toBe(0);
    const filler = join(directory, 'filler');
    thrownBy(() => writeFileSync(filler, Buffer.alloc(4 * MIB)));
    expect(await failure(() => Writer.resume(path))).toMatchObject({ code: 'ERR_NO_SPACE', path });
    truncateSync(filler, 0);
    using writer = await Writer.resume(path);
    using reader = await Reader.open(path, { gate: true });
    for (let i = 0; i < 30; i++) {
      writer.write(Buffer.alloc(100_000, i));
      expect(reader.read()?.data[99_999]).toBe(i);
    }
  });
});

// Nothing is made there: that of /dev is in memory, too.
test.each(['/dev/none', '/none'])('of %s nothing is said that is true of /dev/shm', async (path) => {
  const full = Object.assign(new Error('full'), { code: 'ENOSPC', errno: -28, syscall: 'fallocate' });
  const making = vi.spyOn(binding(), 'createFile').mockRejectedValue(full);
  try {
    const error = await failure(() => Writer.create(path, { mode: 'linear' }));
    expect(error).toMatchObject({ code: 'ERR_NO_SPACE', path });
    expect(error.message).toMatch(new RegExp(`^No space for ${path}: it needs \\d+ bytes, \\d+ are free$`));
  } finally {
    making.mockRestore();
  }
});

function thrownBy(work: () => void): void {
  expect(work).toThrow();
}
