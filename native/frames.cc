#include "frames.h"

#include <algorithm>
#include <cstring>

#include "crc32c.h"
#include "layout.h"

namespace millrace {
namespace {

constexpr size_t kTellEvery = 65536;

uint32_t LoadAt(const uint8_t* bytes) {
  // Another thread may be storing it: a checksum that is filled in, or whatever a broken program writes.
  return __atomic_load_n(reinterpret_cast<const uint32_t*>(bytes), __ATOMIC_RELAXED);
}

// One frame, its header looked at once: what is decided by it stays decided, whatever changes in the file.
struct Frame {
  uint8_t kind = 0;
  size_t summed = 0;  // bytes that the checksum covers: all of the frame, but of a PAD its header only
  size_t length = 0;  // to the next frame
  uint32_t head[MR_FRAME_HEADER / 4] = {};
};

// False where no whole frame of this stamp lies in [at, end). A PAD may go on behind it: nobody looks at its content.
bool FrameAt(const uint8_t* bytes, size_t at, size_t end, uint32_t stamp, Frame* frame) {
  if (end - at < MR_FRAME_HEADER) return false;
  for (size_t word = 0; word < MR_FRAME_HEADER / 4; word++) frame->head[word] = LoadAt(bytes + at + 4 * word);
  const uint32_t length = frame->head[MR_FRAME_LENGTH_OFFSET / 4];
  if (length < MR_FRAME_HEADER || length > MR_MAX_CAPACITY || frame->head[MR_FRAME_STAMP_OFFSET / 4] != stamp) {
    return false;
  }
  frame->kind = static_cast<uint8_t>(frame->head[MR_FRAME_KIND_OFFSET / 4]);
  frame->length = (size_t{length} + MR_FRAME_ALIGN - 1) / MR_FRAME_ALIGN * MR_FRAME_ALIGN;
  frame->summed = frame->kind == MR_KIND_PAD ? MR_FRAME_HEADER : length;
  return frame->kind == MR_KIND_PAD || frame->length <= end - at;
}

// `seed` is the checksum of the incarnation. Never 0, which stands for none.
uint32_t ChecksumOf(const Frame& frame, const uint8_t* at, uint32_t seed) {
  uint32_t head[MR_FRAME_HEADER / 4];
  std::memcpy(head, frame.head, sizeof head);
  head[MR_FRAME_CRC_OFFSET / 4] = 0;
  const uint32_t crc = Crc32c(seed, reinterpret_cast<const uint8_t*>(head), sizeof head);
  const uint32_t all = Crc32c(crc, at + MR_FRAME_HEADER, frame.summed - MR_FRAME_HEADER);
  return all == 0 ? 1 : all;
}

// Never back: another job may have come further. Release: who sees how far it has come sees the checksums below it, and
// leaves them as they are.
void RaiseTo(std::atomic<size_t>* done, size_t at) {
  size_t seen = done->load(std::memory_order_relaxed);
  while (seen < at && !done->compare_exchange_weak(seen, at, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

uint32_t SeedOf(uint32_t incarnation) {
  return Crc32c(0, reinterpret_cast<const uint8_t*>(&incarnation), sizeof incarnation);
}

}  // namespace

size_t SumFrames(uint8_t* bytes, const Stretch& stretch, std::atomic<size_t>* done) {
  const uint32_t seed = SeedOf(stretch.incarnation);
  uint32_t stamp = stretch.stamp;
  size_t at = stretch.start;
  size_t told = at;
  Frame frame;
  while (at < stretch.end && FrameAt(bytes, at, stretch.end, stamp, &frame)) {
    if (frame.head[MR_FRAME_CRC_OFFSET / 4] == 0) {
      uint32_t* const word = reinterpret_cast<uint32_t*>(bytes + at + MR_FRAME_CRC_OFFSET);
      __atomic_store_n(word, ChecksumOf(frame, bytes + at, seed), __ATOMIC_RELAXED);
    }
    at += std::min(frame.length, stretch.end - at);
    stamp += static_cast<uint32_t>(frame.length / MR_FRAME_ALIGN);
    if (done != nullptr && at - told >= kTellEvery) {
      RaiseTo(done, at);
      told = at;
    }
  }
  if (done != nullptr && at > stretch.start) RaiseTo(done, at);
  return at;
}

size_t CheckFrames(const uint8_t* bytes, const Stretch& stretch, size_t strict_end) {
  const uint32_t seed = SeedOf(stretch.incarnation);
  uint32_t stamp = stretch.stamp;
  size_t at = stretch.start;
  Frame frame;
  while (at < stretch.end && FrameAt(bytes, at, stretch.end, stamp, &frame)) {
    const uint32_t crc = frame.head[MR_FRAME_CRC_OFFSET / 4];
    if (crc == 0 ? at < strict_end : crc != ChecksumOf(frame, bytes + at, seed)) return at;
    at += std::min(frame.length, stretch.end - at);
    stamp += static_cast<uint32_t>(frame.length / MR_FRAME_ALIGN);
    if (frame.kind == MR_KIND_END || frame.kind == MR_KIND_LINK) return at;
  }
  return at;
}

}  // namespace millrace
