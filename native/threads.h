#ifndef MILLRACE_THREADS_H
#define MILLRACE_THREADS_H

namespace millrace {

// Starts a thread that nobody joins, and that takes none of the process's signals. It may outlive the JavaScript thread
// that started it, and the end of the process may come at any point of it. False where there is none to be had.
bool StartThread(void* (*run)(void*), void* argument);

}  // namespace millrace

#endif
