// A binary that is built on a new system should run on an old one: glibc 2.28, which Node's own binaries need.
// Where a newer glibc would bind a function to a newer version of the same thing, the old version is asked for by name.
// test/packaging holds the result against 2.28; native/glibc.cc has the rest of it.
#ifndef MILLRACE_GLIBC_H
#define MILLRACE_GLIBC_H

#include <pthread.h>

#if defined(__GLIBC__) && defined(__x86_64__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
#elif defined(__GLIBC__) && defined(__aarch64__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.17");
#endif

#endif
