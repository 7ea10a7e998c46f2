#include "firmware/measure/tpm_boot.h"

#include <string.h>

#include "firmware/measure/kernel_hashes.h"

static void extend(uint8_t value[static SHA256_LEN], struct bytes event)
{
    uint8_t both[2 * SHA256_LEN];

    memcpy(both, value, SHA256_LEN);
    sha256_of(event, both + SHA256_LEN);
    sha256_of(BYTES_OF(both), value);
}

/* The event is the SHA-256 of what is measured, and the TPM hashes events; PCRs 0 to 7 end with a separator. */
static void measure(unsigned pcr, struct bytes what, struct tpm_boot *out, size_t i)
{
    static const uint8_t separator[4] = { 0 };
    uint8_t              digest[SHA256_LEN];

    sha256_of(what, digest);
    out->at[i].pcr = pcr;
    memset(out->at[i].value, 0, SHA256_LEN);
    extend(out->at[i].value, BYTES_OF(digest));
    if (pcr < 8)
        extend(out->at[i].value, BYTES_OF(separator));
}

FALLIBLE tpm_boot_measure(struct bytes firmware, struct bytes kernel, struct bytes initrd, const char *append,
                          struct tpm_boot *out, struct err *err)
{
    AUTO(buffer) struct buffer started = { 0 };
    struct kernel_hashes       hashes;

    buffer_append(&started, firmware);
    kernel_hashes_of(kernel, initrd, append, &hashes);
    if (!kernel_hashes_patch(&hashes, started.at, started.len, err))
        return false;
    measure(0, buffer_bytes(&started), out, 0);
    measure(4, kernel, out, 1);
    measure(9, initrd, out, 2);
    measure(12, (struct bytes){ (const uint8_t *) append, strlen(append) + 1 }, out, 3); /* its zero is measured too */
    return true;
}
