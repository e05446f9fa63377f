#include "crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace millrace {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// kBytes[k][b]: what byte b does to the checksum when k more bytes follow it in the word.
constexpr Tables MakeByteTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ kPolynomial : crc >> 1;
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (size_t k = 1; k < 8; k++) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kBytes = MakeByteTables();

uint64_t LoadWord(const uint8_t* from) {
  uint64_t word;
  std::memcpy(&word, from, sizeof word);  // little-endian, as every machine that Millrace runs on
  return word;
}

// `state` is the checksum with all bits inverted, here and below.
uint32_t UpdateByTable(uint32_t state, const uint8_t* bytes, size_t count) {
  for (; count >= 8; bytes += 8, count -= 8) {
    const uint64_t word = LoadWord(bytes) ^ state;
    state = 0;
    for (size_t k = 0; k < 8; k++) state ^= kBytes[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; count > 0; bytes++, count--) state = (state >> 8) ^ kBytes[0][(state ^ *bytes) & 0xff];
  return state;
}

#if defined(__x86_64__)

// The crc32 instruction takes three cycles but can begin anew each cycle, so three streams side by side keep it busy. The
// first stream's state is then moved over the second's zeros, and so on: a linear map, kept as a table for each byte.
using Shift = std::array<std::array<uint32_t, 256>, 4>;

constexpr uint32_t Apply(const std::array<uint32_t, 32>& matrix, uint32_t vector) {
  uint32_t sum = 0;
  for (size_t bit = 0; vector != 0; vector >>= 1, bit++) {
    if ((vector & 1) != 0) sum ^= matrix[bit];
  }
  return sum;
}

// `log2_bytes`: the state moves over 2^log2_bytes zero bytes.
constexpr Shift MakeShift(int log2_bytes) {
  std::array<uint32_t, 32> matrix{};  // moves over one zero bit
  matrix[0] = kPolynomial;
  for (size_t bit = 1; bit < 32; bit++) matrix[bit] = 1u << (bit - 1);
  for (int square = 0; square < log2_bytes + 3; square++) {
    std::array<uint32_t, 32> twice{};
    for (size_t bit = 0; bit < 32; bit++) twice[bit] = Apply(matrix, matrix[bit]);
    matrix = twice;
  }
  Shift shift{};
  for (size_t k = 0; k < 4; k++) {
    for (uint32_t byte = 0; byte < 256; byte++) shift[k][byte] = Apply(matrix, byte << (8 * k));
  }
  return shift;
}

constexpr int kLongLog2 = 12, kShortLog2 = 8;
constexpr Shift kLongShift = MakeShift(kLongLog2);
constexpr Shift kShortShift = MakeShift(kShortLog2);

inline uint32_t Move(const Shift& shift, uint32_t state) {
  return shift[0][state & 0xff] ^ shift[1][(state >> 8) & 0xff] ^ shift[2][(state >> 16) & 0xff] ^ shift[3][state >> 24];
}

template <int kLog2>
__attribute__((target("sse4.2"))) uint32_t ThreeStreams(uint32_t state, const uint8_t* bytes, const Shift& shift) {
  constexpr size_t kStream = size_t{1} << kLog2;
  uint64_t first = state, second = 0, third = 0;
  for (size_t at = 0; at < kStream; at += 8) {
    first = _mm_crc32_u64(first, LoadWord(bytes + at));
    second = _mm_crc32_u64(second, LoadWord(bytes + kStream + at));
    third = _mm_crc32_u64(third, LoadWord(bytes + 2 * kStream + at));
  }
  const uint32_t two = Move(shift, static_cast<uint32_t>(first)) ^ static_cast<uint32_t>(second);
  return Move(shift, two) ^ static_cast<uint32_t>(third);
}

__attribute__((target("sse4.2"))) uint32_t UpdateByInstruction(uint32_t state, const uint8_t* bytes, size_t count) {
  constexpr size_t kLong = size_t{3} << kLongLog2, kShort = size_t{3} << kShortLog2;
  for (; count >= kLong; bytes += kLong, count -= kLong) {
    state = ThreeStreams<kLongLog2>(state, bytes, kLongShift);
  }
  for (; count >= kShort; bytes += kShort, count -= kShort) {
    state = ThreeStreams<kShortLog2>(state, bytes, kShortShift);
  }
  uint64_t wide = state;
  for (; count >= 8; bytes += 8, count -= 8) wide = _mm_crc32_u64(wide, LoadWord(bytes));
  state = static_cast<uint32_t>(wide);
  for (; count > 0; bytes++, count--) state = _mm_crc32_u8(state, *bytes);
  return state;
}

#endif

}  // namespace

uint32_t Crc32cByTable(uint32_t crc, const uint8_t* bytes, size_t count) { return ~UpdateByTable(~crc, bytes, count); }

uint32_t Crc32c(uint32_t crc, const uint8_t* bytes, size_t count) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return ~UpdateByInstruction(~crc, bytes, count);
#endif
  return Crc32cByTable(crc, bytes, count);
}

}  // namespace millrace
