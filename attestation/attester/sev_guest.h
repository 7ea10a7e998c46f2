/* SEV-SNP evidence from /dev/sev-guest: an extended report, certificates included. [Linux Documentation/virt/coco/sev-guest.rst] */
#pragma once

#include "attestation/attester/attester.h"

/* A device's control call; the kernel's in a guest, a test's elsewhere. Returns 0, or -1 with errno set. */
typedef int device_control(int fd, unsigned long request, void *argument);

struct sev_guest_options {
    const char     *device;  /* NULL: /dev/sev-guest */
    device_control *control; /* NULL: ioctl */
    uint32_t        vmpl;
};

/*
 * Opens the device.
 *
 *   options    NULL for all defaults
 *   out        yours, release with AUTO(attester)
 *
 * Fails NOT_FOUND without the device. A host that is busy is asked again; one that gives no certificates leaves
 * `certificates` empty; a report without the report data that was asked for is refused.
 */
FALLIBLE sev_guest_attester_open(const struct sev_guest_options *options, struct attester **out, struct err *err);
