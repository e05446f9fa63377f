// The channel file, format 1: every offset that C or C++ code needs, by name.
// lib/channel/layout.ts says the same for TypeScript; test/channel/layout.test.ts holds the two against each other.
// docs/format.md explains them. All numbers are little-endian. Offsets are in bytes.
#ifndef MILLRACE_LAYOUT_H
#define MILLRACE_LAYOUT_H

// --- Static part: written once, before the file has a name; covered by a CRC32C together with the metadata.
#define MR_MAGIC_OFFSET 0
#define MR_FORMAT_MAJOR_OFFSET 8
#define MR_FORMAT_MINOR_OFFSET 12
#define MR_ENDIAN_OFFSET 16
#define MR_INCOMPATIBLE_OFFSET 20
#define MR_COMPATIBLE_OFFSET 24
#define MR_STATIC_CRC_OFFSET 28
#define MR_CHANNEL_ID_OFFSET 32
#define MR_INCARNATION_OFFSET 48
#define MR_MODE_OFFSET 52
#define MR_FRAME_HEADER_OFFSET 56
#define MR_CHECKSUM_KIND_OFFSET 60
#define MR_CREATED_OFFSET 64
#define MR_CAPACITY_OFFSET 72
#define MR_DATA_OFFSET_OFFSET 76
#define MR_READERS_OFFSET_OFFSET 80
#define MR_READER_SLOTS_OFFSET 84
#define MR_METADATA_OFFSET_OFFSET 88
#define MR_METADATA_LENGTH_OFFSET 92
#define MR_MARKS_OFFSET_OFFSET 96
#define MR_MARK_COUNT_OFFSET 100
#define MR_MARK_STRIDE_OFFSET 104
#define MR_MAX_RECORD_OFFSET 108
#define MR_BASE_POSITION_OFFSET 112
#define MR_BASE_RECORD_OFFSET 120
#define MR_HEARTBEAT_MS_OFFSET 128
#define MR_STALLED_AFTER_MS_OFFSET 132
#define MR_CREATOR_PID_OFFSET 136
#define MR_CREATOR_START_OFFSET 144
#define MR_BOOT_ID_OFFSET 152
#define MR_SYNC_KIND_OFFSET 168
#define MR_SYNC_MS_OFFSET 172
#define MR_SYNC_BYTES_OFFSET 176
#define MR_STATIC_BYTES 256

#define MR_FORMAT_MAJOR 1
#define MR_FORMAT_MINOR 0
#define MR_ENDIAN_TAG 0x01020304

#define MR_MODE_LINEAR 1
#define MR_MODE_RING 2

#define MR_CHECKSUM_NONE 0
#define MR_CHECKSUM_CRC32C 1

#define MR_SYNC_NONE 0
#define MR_SYNC_INTERVAL 1
#define MR_SYNC_COMMIT 2

// --- Mutable words. Words of different owners are 128 bytes apart. A split word is three u32: hiA, lo, hiB.
#define MR_STATE_OFFSET 512           // whoever ends it
#define MR_REASON_OFFSET 516
#define MR_FINAL_POSITION_OFFSET 520  // split word
#define MR_TAIL_OFFSET 640            // split word; writer, lazily
#define MR_RECORD_COUNT_OFFSET 652    // split word
#define MR_LIMIT_OFFSET 768           // split word; writer
#define MR_HEARTBEAT_OFFSET 896       // writer
#define MR_WRITER_PID_OFFSET 900
#define MR_WRITER_START_OFFSET 904    // two u32: low, high
#define MR_WRITER_BOOT_OFFSET 912     // 16 bytes: boot id of the start of the machine it runs or ran on
#define MR_WAKE_SEQUENCE_OFFSET 1024  // writer
#define MR_WAITERS_OFFSET 1152        // readers
#define MR_ROOM_WANTED_OFFSET 1280    // writer
#define MR_ROOM_SEQUENCE_OFFSET 1408  // readers
#define MR_REGISTRATION_OFFSET 1536   // readers
#define MR_DURABLE_OFFSET 1664        // split word; flusher
#define MR_SYNC_FAILED_BOOT_OFFSET 1680  // 16 bytes: boot id of the start of the machine on which a sync failed
#define MR_REFUSALS_OFFSET 1792       // writer's counters
#define MR_EVICTIONS_OFFSET 1796
#define MR_WAKES_OFFSET 1800
#define MR_RESUMES_OFFSET 1804
#define MR_HEADER_BYTES 4096

// What is set in the words for sleepers: whom to wake.
#define MR_SLEEPER_BLOCKED 1    // on the sequence beside it
#define MR_SLEEPER_LISTENING 2  // to the file, in an event loop

#define MR_STATE_CREATING 0
#define MR_STATE_OPEN 1
#define MR_STATE_SEALED 2
#define MR_STATE_CLOSED 3
#define MR_STATE_ABANDONED 4

// --- Reader table: one slot a reader.
#define MR_SLOT_BYTES 128
#define MR_SLOT_STATE_OFFSET 0       // generation << 4 | state
#define MR_SLOT_POSITION_OFFSET 4    // split word
#define MR_SLOT_PID_OFFSET 16
#define MR_SLOT_START_OFFSET 20      // two u32: low, high
#define MR_SLOT_OVERTAKEN_OFFSET 28
#define MR_SLOT_LOST_OFFSET 32       // two u32: low, high
#define MR_SLOT_EVICT_AFTER_OFFSET 40
#define MR_SLOT_NAME_OFFSET 64
#define MR_SLOT_NAME_BYTES 64

#define MR_SLOT_FREE 0
#define MR_SLOT_CLAIMING 1
#define MR_SLOT_GATING 2
#define MR_SLOT_OBSERVING 3
#define MR_SLOT_EVICTED 4

// --- User metadata and marks.
#define MR_METADATA_BYTES 4096

#define MR_MARK_BYTES 32
#define MR_MARK_SEQUENCE_OFFSET 0    // odd while the rest is being written
#define MR_MARK_POSITION_OFFSET 4    // two u32: low, high of position / 16
#define MR_MARK_RECORD_OFFSET 12     // two u32: low, high
#define MR_MARK_TIME_OFFSET 20       // two u32: low, high
#define MR_MARK_CRC_OFFSET 28

// --- Frames.
#define MR_FRAME_LENGTH_OFFSET 0     // header + payload; 0: nothing here yet; stored last
#define MR_FRAME_KIND_OFFSET 4       // u8 kind, u8 flags, u16 user type
#define MR_FRAME_STAMP_OFFSET 8      // low 32 bits of position / 16
#define MR_FRAME_CRC_OFFSET 12
#define MR_FRAME_TIME_OFFSET 16      // extension: two u32, low and high
#define MR_FRAME_TAG_OFFSET 24
#define MR_FRAME_HEADER 16
#define MR_FRAME_HEADER_EXTENDED 32
#define MR_FRAME_ALIGN 16

#define MR_FLAG_BATCH_GOES_ON 0x100  // in the word of the kind: the next frame is of the same batch
#define MR_CHECKPOINT_BYTES 8        // its payload: a position

#define MR_KIND_DATA 1
#define MR_KIND_PAD 2
#define MR_KIND_END 3
#define MR_KIND_LINK 4
#define MR_KIND_CHECKPOINT 5

// --- Sizes.
#define MR_DATA_ALIGN 16384
#define MR_RESERVED_BYTES 64         // always left free behind the last record: PAD, END or LINK, terminator
#define MR_MAX_CAPACITY 1073741824
#define MR_MIN_RING_CAPACITY 65536
#define MR_MIN_LINEAR_CAPACITY 16384
#define MR_MAX_READER_SLOTS 1024
#define MR_MAX_MARK_STRIDE 65536

#endif
