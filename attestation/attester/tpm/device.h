/* A TPM 2.0 through tpm2-tss: connection, keys, registers, NV, and the guest's half of credential activation. [tpm.md 5, 7] */
#pragma once

#include <tss2/tss2_esys.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/secret.h"

struct tpm_device {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT      *esys;
};

/*
 * Connects.
 *
 *   tcti    as tpm2-tss names it: "device:/dev/tpmrm0", "swtpm:path=..."; NULL: the former
 *
 * Fails NOT_FOUND where there is none.
 */
FALLIBLE tpm_device_open(const char *tcti, struct tpm_device *out, struct err *err);
void     tpm_device_close(struct tpm_device *d);
static inline void auto_tpm_device(struct tpm_device *d) { tpm_device_close(d); }

/* Fails OS with "what: <tpm2-tss' words>". Returns false. */
bool err_tpm(struct err *err, TSS2_RC rc, const char *what);

/* A key in the TPM; `public` is its TPM2B_PUBLIC. A transient one is flushed by tpm_object_close. */
struct tpm_object {
    ESYS_TR       handle; /* ESYS_TR_NONE in the closed state */
    bool          is_persistent;
    struct buffer public;
};

#define NO_TPM_OBJECT ((struct tpm_object){ .handle = ESYS_TR_NONE })

FALLIBLE tpm_object_at(struct tpm_device *d, TPM2_HANDLE persistent, struct tpm_object *out, struct err *err);
/* A restricted P-256 signing key of the owner hierarchy: the same one at every call, until the TPM is cleared. */
FALLIBLE tpm_object_make_ak(struct tpm_device *d, struct tpm_object *out, struct err *err);
/* The endorsement key of TCG's template L-2 (P-256) or L-1 (RSA 2048). [TCG-EK B.3] */
FALLIBLE tpm_object_make_ek(struct tpm_device *d, bool is_rsa, struct tpm_object *out, struct err *err);
void     tpm_object_close(struct tpm_device *d, struct tpm_object *o);

/* The 24 values of the SHA-256 bank, one behind the other. */
FALLIBLE tpm_pcrs_read(struct tpm_device *d, struct buffer *out, struct err *err);
FALLIBLE tpm_pcr_extend(struct tpm_device *d, unsigned pcr, const uint8_t digest[static 32], struct err *err);

/*
 * Signs a quote over those 24 registers with `nonce` as qualifying data.
 *
 *   message      TPMS_ATTEST
 *   signature    TPMT_SIGNATURE
 */
FALLIBLE tpm_quote_make(struct tpm_device *d, const struct tpm_object *ak, struct bytes nonce, struct buffer *message,
                        struct buffer *signature, struct err *err);

/* Reads a whole NV index, with the owner's empty authorization. NOT_FOUND when it is not defined. */
FALLIBLE tpm_nv_read(struct tpm_device *d, TPM2_HANDLE index, struct buffer *out, struct err *err);

/* Gives back the secret that credential_make wrapped for this EK and AK. Both blobs are TPM2B structures. */
FALLIBLE tpm_credential_activate(struct tpm_device *d, const struct tpm_object *ak, const struct tpm_object *ek,
                                 struct bytes id_object, struct bytes encrypted_secret, struct secret *out,
                                 struct err *err);
