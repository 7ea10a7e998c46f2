#include "guest/init/entropy.h"

#include <cpuid.h>
#include <errno.h>
#include <stdint.h>
#include <sys/random.h>
#include <time.h>

enum { STEP_MS = 20, TRIES = 500 };

static bool cpu_has_rdrand(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_RDRND);
}

FALLIBLE entropy_wait(struct err *err)
{
    static const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
    uint8_t                      one;

    if (!cpu_has_rdrand())
        return fail_with(err, ERR_UNSUPPORTED, "the CPU offers no RDRAND: keys would rest on the host's word");
    for (int i = 0; i < TRIES; i++) {
        if (getrandom(&one, sizeof one, GRND_NONBLOCK) == 1)
            return true;
        if (errno != EAGAIN && errno != EINTR)
            return err_os(err, "random numbers");
        (void) nanosleep(&step, NULL); /* a short sleep only asks sooner */
    }
    return fail_with(err, ERR_TIMEOUT, "the kernel's random numbers were not ready in 10 s");
}
