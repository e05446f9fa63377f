#include "threads.h"

#include <pthread.h>
#include <signal.h>

#include "glibc.h"

namespace millrace {

bool StartThread(void* (*run)(void*), void* argument) {
  // The thread inherits a full signal mask, so that the process's signals go to threads that expect them.
  sigset_t all, before;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, &before) != 0) return false;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const bool started = pthread_create(&thread, &attributes, run, argument) == 0;
  pthread_attr_destroy(&attributes);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace millrace
