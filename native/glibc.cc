// What the addon would otherwise take from a static libstdc++, whose copy on the machine that builds asks for that
// machine's own glibc (2.34 for threads' data, 2.35 for unwinding). Nobody here catches an exception, so none is thrown:
// the process that has no memory left for a few bytes ends. native/exports.map keeps all of this to the addon.
#include <cstddef>
#include <cstdlib>
#include <new>

void* operator new(std::size_t bytes) {
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

// glibc 2.32 has it, and std::shared_ptr looks at it to count without atomics. Node always has several threads.
extern "C" char __libc_single_threaded;
char __libc_single_threaded = 0;
