// For libFuzzer: sums and checks frames of any bytes, and holds what comes of it against a plain reading of
// docs/format.md. scripts/fuzz-native.js builds and runs it.
#include "frames.h"

#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "crc32c.h"
#include "layout.h"

namespace {

using millrace::CheckFrames;
using millrace::Stretch;
using millrace::SumFrames;

// What an input begins with; the bytes of the frames follow. Numbers that are too large are taken modulo.
struct Control {
  uint32_t start;
  uint32_t left_out;  // bytes at the end of the input that are not laid out
  uint32_t stamp;
  uint32_t incarnation;
  uint32_t strict_end;
  uint32_t summed_end;  // sums come to here before the first check, as a flusher that died leaves them
  uint32_t flipped_bit;
  uint32_t right_stamps;  // odd: stamps are made right, or hardly an input would have a second frame
};

void Require(bool so, const char* what) {
  if (so) return;
  std::fprintf(stderr, "Not so: %s\n", what);
  std::abort();
}

// On the heap and not a byte longer than it must be: AddressSanitizer sees whatever is touched behind it.
class Bytes {
 public:
  Bytes(const uint8_t* from, size_t size) : size_(size), data_(new uint8_t[size]) {
    if (size != 0) std::memcpy(data_.get(), from, size);
  }
  Bytes(const Bytes& other) : Bytes(other.data(), other.size()) {}

  uint8_t* data() const { return data_.get(); }
  size_t size() const { return size_; }
  uint32_t Word(size_t at) const {
    uint32_t word;
    std::memcpy(&word, data() + at, sizeof word);
    return word;
  }
  void SetWord(size_t at, uint32_t word) { std::memcpy(data() + at, &word, sizeof word); }
  bool operator==(const Bytes& other) const {
    return size_ == other.size_ && std::equal(data(), data() + size_, other.data());
  }

 private:
  const size_t size_;
  const std::unique_ptr<uint8_t[]> data_;
};

struct Frame {
  size_t at = 0;
  size_t next = 0;
  size_t summed = 0;
  uint8_t kind = 0;
};

struct Frames {
  std::vector<Frame> list;
  size_t stop = 0;
};

bool EndsStream(const Frame& frame) { return frame.kind == MR_KIND_END || frame.kind == MR_KIND_LINK; }

// The frames of a stretch, as the format's words have it. With `mend_stamps` a wrong stamp ends nothing.
Frames Read(Bytes* bytes, const Stretch& stretch, bool mend_stamps) {
  Frames frames;
  frames.stop = stretch.start;
  uint64_t unit = stretch.stamp;
  while (frames.stop + MR_FRAME_HEADER <= stretch.end) {
    Frame frame;
    frame.at = frames.stop;
    frame.kind = bytes->data()[frame.at + MR_FRAME_KIND_OFFSET];
    const int64_t length = static_cast<int32_t>(bytes->Word(frame.at + MR_FRAME_LENGTH_OFFSET));
    if (length < MR_FRAME_HEADER || length > MR_MAX_CAPACITY) break;
    const uint64_t units = (length + 15) / 16;
    if (frame.kind != MR_KIND_PAD && 16 * units > stretch.end - frame.at) break;
    frame.summed = frame.kind == MR_KIND_PAD ? MR_FRAME_HEADER : length;
    if (mend_stamps) bytes->SetWord(frame.at + MR_FRAME_STAMP_OFFSET, static_cast<uint32_t>(unit));
    if (bytes->Word(frame.at + MR_FRAME_STAMP_OFFSET) != static_cast<uint32_t>(unit)) break;
    frame.next = std::min<uint64_t>(frame.at + 16 * units, stretch.end);
    frames.list.push_back(frame);
    frames.stop = frame.next;
    unit += units;
  }
  return frames;
}

// By the table, while the code under test has the processor's instruction.
uint32_t RightChecksum(const Bytes& bytes, const Frame& frame, uint32_t incarnation) {
  Bytes covered(bytes.data() + frame.at, frame.summed);
  covered.SetWord(MR_FRAME_CRC_OFFSET, 0);
  uint8_t seed[sizeof incarnation];
  std::memcpy(seed, &incarnation, sizeof seed);
  const uint32_t crc = millrace::Crc32cByTable(0, seed, sizeof seed);
  const uint32_t all = millrace::Crc32cByTable(crc, covered.data(), covered.size());
  return all == 0 ? 1 : all;
}

size_t RightStop(Bytes* bytes, const Stretch& stretch, size_t strict_end) {
  const Frames frames = Read(bytes, stretch, false);
  for (const Frame& frame : frames.list) {
    const uint32_t found = bytes->Word(frame.at + MR_FRAME_CRC_OFFSET);
    if (found == 0 && frame.at < strict_end) return frame.at;
    if (found != 0 && found != RightChecksum(*bytes, frame, stretch.incarnation)) return frame.at;
    if (EndsStream(frame)) return frame.next;
  }
  return frames.stop;
}

size_t Check(const Bytes& bytes, const Stretch& stretch, size_t strict_end) {
  Bytes given(bytes.data(), stretch.end);
  ASAN_POISON_MEMORY_REGION(given.data(), stretch.start);
  const size_t stop = CheckFrames(given.data(), stretch, strict_end);
  ASAN_UNPOISON_MEMORY_REGION(given.data(), stretch.start);
  Require(stop >= stretch.start && stop <= stretch.end, "a check ends within the stretch");
  Require(stop == stretch.end || (stop - stretch.start) % 16 == 0, "a check ends where a frame may begin");
  Require(given == Bytes(bytes.data(), stretch.end), "a check changes nothing");
  return stop;
}

size_t Sum(Bytes* bytes, const Stretch& stretch) {
  Bytes given(bytes->data(), stretch.end);
  ASAN_POISON_MEMORY_REGION(given.data(), stretch.start);
  const size_t stop = SumFrames(given.data(), stretch);
  ASAN_UNPOISON_MEMORY_REGION(given.data(), stretch.start);
  const Frames frames = Read(bytes, stretch, false);
  for (const Frame& frame : frames.list) {
    bytes->SetWord(frame.at + MR_FRAME_CRC_OFFSET, RightChecksum(*bytes, frame, stretch.incarnation));
  }
  Require(stop == frames.stop, "sums end where the frames do");
  Require(given == Bytes(bytes->data(), stretch.end), "checksums are right, and nothing else has changed");
  return stop;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Control control;
  if (size < sizeof control) return 0;
  std::memcpy(&control, data, sizeof control);
  size -= sizeof control;

  Stretch stretch;
  stretch.end = size - control.left_out % (size + 1);
  stretch.start = control.start % (stretch.end + 1) / 4 * 4;  // as much alignment as the words need
  stretch.stamp = control.stamp;
  stretch.incarnation = control.incarnation;
  Bytes bytes(data + sizeof control, stretch.end);
  if (control.right_stamps % 2 == 1) Read(&bytes, stretch, true);

  const size_t strict_end = control.strict_end % (stretch.end + 64);  // it may lie behind the end, too
  Require(Check(bytes, stretch, strict_end) == RightStop(&bytes, stretch, strict_end), "frames as found");

  Stretch first = stretch;
  first.end = stretch.start + control.summed_end % (stretch.end - stretch.start + 1);
  Sum(&bytes, first);
  Require(Check(bytes, stretch, strict_end) == RightStop(&bytes, stretch, strict_end), "frames half summed");

  const size_t stop = Sum(&bytes, stretch);
  const size_t whole = Check(bytes, stretch, stretch.end);
  Require(whole == RightStop(&bytes, stretch, stretch.end), "frames summed");
  Stretch summed = stretch;
  summed.end = stop;
  const Frames frames = Read(&bytes, summed, false);
  const auto last = std::find_if(frames.list.begin(), frames.list.end(), EndsStream);
  Require(whole == (last == frames.list.end() ? stop : last->next), "what was summed is right up to its end");
  if (frames.list.empty()) return 0;

  const Frame& hit = frames.list[control.flipped_bit / 8 / 64 % frames.list.size()];
  const size_t byte = control.flipped_bit / 8 % hit.summed;
  bytes.data()[hit.at + byte] ^= 1 << control.flipped_bit % 8;
  const size_t found = Check(bytes, stretch, stretch.end);
  Require(found == RightStop(&bytes, stretch, stretch.end), "a frame with a bit that is wrong");
  // With another length or kind other bytes are summed: a wrong bit may go unseen there once in 2^32 times.
  if (byte > MR_FRAME_KIND_OFFSET && hit.at < whole) Require(found == hit.at, "a wrong bit is seen");
  return 0;
}
