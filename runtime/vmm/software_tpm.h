/*
 * The TPM of `--tee tpm`: swtpm, one process for each VM, with an identity that this user keeps. IT IS THE HOST'S: it
 * proves to an owner who trusts the host what was booted, and hides nothing from the host. [tpm.md 6.3]
 */
#pragma once

#include "base/process.h"

enum { TPM_STATE_LEN_MAX = 1 << 20, TPM_AK_LEN_MAX = 256 };

/* Below the folder that is given: the seeds of the TPM, and the public area of the attestation key that they make. */
#define TPM_STATE_FILE "state"
#define TPM_AK_FILE    "ak.pub" /* TPM2B_PUBLIC */

/*
 * Makes an identity in `folder`, which need not exist: swtpm is started once, without a VM. Where there is one, it
 * stays. Two that start at once agree on one.
 *
 * Fails NOT_FOUND when swtpm is not installed (with the way out), MALFORMED for an answer that is none, OS.
 */
FALLIBLE software_tpm_make(const char *folder, struct err *err);

/*
 * Starts a TPM that has just been reset. Its state is memory: nothing that a VM does to it outlives the VM, and VMs
 * that run at once do not meet.
 *
 *   control_fd    end of a socket pair whose other end QEMU gets; borrowed. The TPM ends when QEMU, which then
 *                 had connected to it, does; and with us.
 *   words_fd      gets what it says; borrowed
 */
FALLIBLE software_tpm_start(const char *folder, int control_fd, int words_fd, struct process *out, struct err *err);

/* The public area out of swtpm's answer to TPM2_CreatePrimary, borrowed. [TPM2 Part 3, 24.1] */
FALLIBLE software_tpm_answer_read(struct bytes answer, struct bytes *ak, struct err *err);
