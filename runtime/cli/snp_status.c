#include "runtime/cli/snp_status.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "base/auto.h"

/* In the words of the kernel's interface; its header is younger than Debian 12's. */
struct issue_command {
    uint32_t command;
    uint64_t data; /* address of the answer */
    uint32_t error;
} __attribute__((packed));

#define ISSUE_COMMAND _IOWR('S', 0, struct issue_command)
enum { SNP_PLATFORM_STATUS = 9, STATE_INITIALISED = 1, FLAG_RMP_INITIALISED = 1 };

FALLIBLE snp_status_read(struct bytes raw, struct snp_status *out, struct err *err)
{
    struct reader     r = reader_over(raw);
    struct snp_status s = { 0 };

    s.api_major      = take_u8(&r);
    s.api_minor      = take_u8(&r);
    s.is_initialised = take_u8(&r) == STATE_INITIALISED;
    s.has_rmp        = take_u8(&r) & FLAG_RMP_INITIALISED;
    s.build          = take_u32le(&r);
    take(&r, 4); /* features */
    s.n_guests     = take_u32le(&r);
    s.current_tcb  = take_u64le(&r);
    s.reported_tcb = take_u64le(&r);
    if (!reader_done(&r, err))
        return context(err, "SNP platform status");
    *out = s;
    return true;
}

FALLIBLE snp_status_ask(const char *device, struct snp_status *out, struct err *err)
{
    AUTO(fd) int         fd = open(device, O_RDWR | O_CLOEXEC);
    uint8_t              answer[SNP_STATUS_LEN] = { 0 };
    struct issue_command issued = { .command = SNP_PLATFORM_STATUS, .data = (uint64_t) (uintptr_t) answer };

    if (fd < 0 && errno == ENOENT)
        return fail_with(err, ERR_NOT_FOUND, "no %s", device);
    if (fd < 0)
        return err_os(err, "open %s", device);
    if (ioctl(fd, ISSUE_COMMAND, &issued) < 0)
        return err_os(err, "the security processor does not answer (firmware error %#x)", issued.error);
    return snp_status_read(BYTES_OF(answer), out, err);
}
