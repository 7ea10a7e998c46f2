#include "base/auto.h"
#include "firmware/stage0/boot_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is what a TPM answers, for as many events as it takes to fill the log or to be refused. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t  separator[4];
    AUTO(heap) uint8_t   *area = malloc(BOOT_LOG_LEN);
    struct machine        m      = { .log = area };
    struct reader         answer = reader_over((struct bytes){ data, size });
    struct err            err;

    if (!area)
        __builtin_trap();
    for (size_t last = 0; boot_log_add(&m, 0, BOOT_LOG_SEPARATOR, BYTES_OF(separator), answer, &err); last = m.log_len)
        if (m.log_len <= last || m.log_len > BOOT_LOG_LEN)
            __builtin_trap();
    return 0;
}
