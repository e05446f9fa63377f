/**
 * The channel file, format 1: every offset, by name. `native/layout.h` says the same for C and C++;
 * `test/channel/layout.test.ts` holds the two against each other. `docs/format.md` explains them.
 * All numbers are little-endian. `*_OFFSET` is in bytes; `words[OFFSET >> 2]` is the word at it.
 */
// --- Static part: written once, before the file has a name; covered by a CRC32C together with the metadata.
export const MAGIC_OFFSET = 0;
export const FORMAT_MAJOR_OFFSET = 8;
export const FORMAT_MINOR_OFFSET = 12;
export const ENDIAN_OFFSET = 16;
export const INCOMPATIBLE_OFFSET = 20;
export const COMPATIBLE_OFFSET = 24;
export const STATIC_CRC_OFFSET = 28;
export const CHANNEL_ID_OFFSET = 32;
export const INCARNATION_OFFSET = 48;
export const MODE_OFFSET = 52;
export const FRAME_HEADER_OFFSET = 56;
export const CHECKSUM_KIND_OFFSET = 60;
export const CREATED_OFFSET = 64;
export const CAPACITY_OFFSET = 72;
export const DATA_OFFSET_OFFSET = 76;
export const READERS_OFFSET_OFFSET = 80;
export const READER_SLOTS_OFFSET = 84;
export const METADATA_OFFSET_OFFSET = 88;
export const METADATA_LENGTH_OFFSET = 92;
export const MARKS_OFFSET_OFFSET = 96;
export const MARK_COUNT_OFFSET = 100;
export const MARK_STRIDE_OFFSET = 104;
export const MAX_RECORD_OFFSET = 108;
export const BASE_POSITION_OFFSET = 112;
export const BASE_RECORD_OFFSET = 120;
export const HEARTBEAT_MS_OFFSET = 128;
export const STALLED_AFTER_MS_OFFSET = 132;
export const CREATOR_PID_OFFSET = 136;
export const CREATOR_START_OFFSET = 144;
export const BOOT_ID_OFFSET = 152;
export const SYNC_KIND_OFFSET = 168;
export const SYNC_MS_OFFSET = 172;
export const SYNC_BYTES_OFFSET = 176;
export const STATIC_BYTES = 256;

export const FORMAT_MAJOR = 1;
export const FORMAT_MINOR = 0;
export const ENDIAN_TAG = 0x01020304;

export const MODE_LINEAR = 1;
export const MODE_RING = 2;

export const CHECKSUM_NONE = 0;
export const CHECKSUM_CRC32C = 1;

export const SYNC_NONE = 0;
export const SYNC_INTERVAL = 1;
export const SYNC_COMMIT = 2;

// --- Mutable words. Words of different owners are 128 bytes apart. A split word is three u32: hiA, lo, hiB.
export const STATE_OFFSET = 512; // whoever ends it
export const REASON_OFFSET = 516;
export const FINAL_POSITION_OFFSET = 520; // split word
export const TAIL_OFFSET = 640; // split word; writer, lazily
export const RECORD_COUNT_OFFSET = 652; // split word
export const LIMIT_OFFSET = 768; // split word; writer
export const HEARTBEAT_OFFSET = 896; // writer
export const WRITER_PID_OFFSET = 900;
export const WRITER_START_OFFSET = 904; // two u32: low, high
export const WRITER_BOOT_OFFSET = 912; // 16 bytes: boot id of the start of the machine it runs or ran on
export const WAKE_SEQUENCE_OFFSET = 1024; // writer
export const WAITERS_OFFSET = 1152; // readers: who sleeps until something arrives
export const ROOM_WANTED_OFFSET = 1280; // writer
export const ROOM_SEQUENCE_OFFSET = 1408; // readers
export const REGISTRATION_OFFSET = 1536; // readers
export const DURABLE_OFFSET = 1664; // split word; flusher
export const SYNC_FAILED_BOOT_OFFSET = 1680; // 16 bytes: boot id of the start of the machine on which a sync failed
export const REFUSALS_OFFSET = 1792; // writer's counters
export const EVICTIONS_OFFSET = 1796;
export const WAKES_OFFSET = 1800;
export const RESUMES_OFFSET = 1804;
export const HEADER_BYTES = 4096;

// What is set in the words for sleepers: whom to wake.
export const SLEEPER_BLOCKED = 1; // on the sequence beside it
export const SLEEPER_LISTENING = 2; // to the file, in an event loop

export const STATE_CREATING = 0;
export const STATE_OPEN = 1;
export const STATE_SEALED = 2;
export const STATE_CLOSED = 3;
export const STATE_ABANDONED = 4;

// --- Reader table: one slot a reader.
export const SLOT_BYTES = 128;
export const SLOT_STATE_OFFSET = 0; // generation << 4 | state
export const SLOT_POSITION_OFFSET = 4; // split word
export const SLOT_PID_OFFSET = 16;
export const SLOT_START_OFFSET = 20; // two u32: low, high
export const SLOT_OVERTAKEN_OFFSET = 28;
export const SLOT_LOST_OFFSET = 32; // two u32: low, high
export const SLOT_EVICT_AFTER_OFFSET = 40;
export const SLOT_NAME_OFFSET = 64;
export const SLOT_NAME_BYTES = 64;

export const SLOT_FREE = 0;
export const SLOT_CLAIMING = 1;
export const SLOT_GATING = 2;
export const SLOT_OBSERVING = 3;
export const SLOT_EVICTED = 4;

// --- User metadata and marks.
export const METADATA_BYTES = 4096;

export const MARK_BYTES = 32;
export const MARK_SEQUENCE_OFFSET = 0; // odd while the rest is being written
export const MARK_POSITION_OFFSET = 4; // two u32: low, high of position / 16
export const MARK_RECORD_OFFSET = 12; // two u32: low, high
export const MARK_TIME_OFFSET = 20; // two u32: low, high
export const MARK_CRC_OFFSET = 28;

// --- Frames.
export const FRAME_LENGTH_OFFSET = 0; // header + payload; 0: nothing here yet; stored last
export const FRAME_KIND_OFFSET = 4; // u8 kind, u8 flags, u16 user type
export const FRAME_STAMP_OFFSET = 8; // low 32 bits of position / 16
export const FRAME_CRC_OFFSET = 12;
export const FRAME_TIME_OFFSET = 16; // extension: two u32, low and high
export const FRAME_TAG_OFFSET = 24;
export const FRAME_HEADER = 16;
export const FRAME_HEADER_EXTENDED = 32;
export const FRAME_ALIGN = 16;

export const FLAG_BATCH_GOES_ON = 0x100; // in the word of the kind: the next frame is of the same batch
export const CHECKPOINT_BYTES = 8; // its payload: a position

export const KIND_DATA = 1;
export const KIND_PAD = 2;
export const KIND_END = 3;
export const KIND_LINK = 4;
export const KIND_CHECKPOINT = 5;

// --- Sizes.
export const DATA_ALIGN = 16384;
export const RESERVED_BYTES = 64; // always left free behind the last record: PAD, END or LINK, terminator
export const MAX_CAPACITY = 1073741824;
export const MIN_RING_CAPACITY = 65536;
export const MIN_LINEAR_CAPACITY = 16384;
export const MAX_READER_SLOTS = 1024;
export const MAX_MARK_STRIDE = 65536;
