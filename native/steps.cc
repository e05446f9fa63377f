#include "steps.h"

#include <time.h>

namespace millrace {

void PauseBetweenSteps() {
  const timespec pause{0, 20 * 1000};  // the kernel's timer slack makes it about 75 us
  nanosleep(&pause, nullptr);
}

}  // namespace millrace
