/**
 * The file of the named cursors, format 1: every offset, by name. `docs/log-format.md` explains them. All numbers are
 * little-endian. `*_OFFSET` is in bytes; `words[OFFSET >> 2]` is the word at it.
 */
// --- Header: a page. What stands before the checksum is written once, before the file has a name.
export const MAGIC_OFFSET = 0;
export const FORMAT_OFFSET = 8;
export const FEATURES_OFFSET = 12;
export const SLOTS_OFFSET = 16;
export const SLOT_SIZE_OFFSET = 20;
export const HEADER_CRC_OFFSET = 64;
export const MOVED_OFFSET = 512;
export const SYNC_FAILED_BOOT_OFFSET = 640; // 16 bytes: boot id of the start of the machine on which a sync failed
export const HEADER_BYTES = 4096;

export const MAGIC = 'MRLOGCUR';
export const FORMAT = 1;

/** Where its names lead to another file by now. Any other value: not moved. */
export const MOVED = 0x45564f4d;

// --- A slot: one cursor. A page of a disk is written in sectors of 512 bytes.
export const SLOT_BYTES = 512;
export const STATE_OFFSET = 0;
export const NAME_LENGTH_OFFSET = 4;
export const NAME_OFFSET = 8;
export const NAME_BYTES = 200;
export const NAME_CRC_OFFSET = 208; // of the length and the 200 bytes
export const COPIES_OFFSET = 256; // two of them, 128 bytes apart

export const SLOT_FREE = 0x45455246;
export const SLOT_USED = 0x44455355;
export const SLOT_DELETED = 0x454e4f47; // nobody else's before that is on the disk

export const COPIES = 2;
export const COPY_STRIDE = 128;
export const COPY_BYTES = 64;
export const SEQUENCE_OFFSET = 0; // stored first
export const OWNER_OFFSET = 4; // the checksum of the name whose cursor this is
export const VALUE_OFFSET = 8; // two u32: low, high of the next offset to read
export const COPY_CRC_OFFSET = 60; // stored last

// --- Sizes.
export const FIRST_SLOTS = 64;
export const MOST_SLOTS = 2048;

/** The lock on this byte of the file is held by whoever changes a slot, or puts a larger file in its place. */
export const CHANGE_BYTE = 0;
