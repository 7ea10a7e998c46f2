/*
 * The kernel command line, which the host writes and the launch measurement covers, read by an allow-list: a key or a
 * value that is not in the table halts the guest. [threats L2]
 */
#pragma once

#include "base/bytes.h"

enum { CMDLINE_LEN_MAX = 2048 }; /* bytes; the kernel's own limit on x86 */

enum cmdline_tee { CMDLINE_TEE_NONE, CMDLINE_TEE_SNP, CMDLINE_TEE_TDX, CMDLINE_TEE_TPM, CMDLINE_TEE_SIM };

struct cmdline {
    enum cmdline_tee tee; /* never NONE after a good read */
};

const char *cmdline_tee_name(enum cmdline_tee tee); /* "snp", "tdx", "tpm", "sim" */

/*
 * Reads the text of /proc/cmdline.
 *
 * Fails DENIED for what the table does not have and for a key given twice, CONFIG without `cloister.tee`, LIMIT,
 * MALFORMED for bytes that are not printable ASCII.
 */
FALLIBLE cmdline_read(struct bytes text, struct cmdline *out, struct err *err);
