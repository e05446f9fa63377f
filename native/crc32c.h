#ifndef MILLRACE_CRC32C_H
#define MILLRACE_CRC32C_H

#include <cstddef>
#include <cstdint>

namespace millrace {

// CRC32C (Castagnoli) of the bytes, going on from the checksum of what came before them; 0 to begin.
uint32_t Crc32c(uint32_t crc, const uint8_t* bytes, size_t count);

// The same without the processor's instruction: what other processors use, and what tests hold it against.
uint32_t Crc32cByTable(uint32_t crc, const uint8_t* bytes, size_t count);

}  // namespace millrace

#endif
