#ifndef MILLRACE_FRAMES_H
#define MILLRACE_FRAMES_H

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace millrace {

// Frames that lie one behind another in memory: bytes[start, end), the first of them with this stamp. Nothing that
// stands in them is believed: whoever may write the file may have written anything.
struct Stretch {
  size_t start = 0;
  size_t end = 0;
  uint32_t stamp = 0;
  uint32_t incarnation = 0;
};

// Fills in the checksum of each frame that lies whole in the stretch and has none yet; returns where it stopped: at the
// end, rounded up to where the next frame starts, or at what is no frame of this place. A checksum that is there stays:
// were it made anew, it would hold for whatever became of the frame since. Twice does no harm, also at the same time: the
// same bytes have the same checksum. `done` is raised now and then to where it has come, and at its end.
size_t SumFrames(uint8_t* bytes, const Stretch& stretch, std::atomic<size_t>* done = nullptr);

// Returns where the frames end that are whole and right: at the end of the stretch, or at the first that isn't or that
// goes on behind it; and behind an END or LINK, which nothing follows. A frame without a checksum is right where it
// starts at `strict_end` or behind it.
size_t CheckFrames(const uint8_t* bytes, const Stretch& stretch, size_t strict_end);

}  // namespace millrace

#endif
