#include "attestation/attester/tpm/tpm_attester.h"

#include <limits.h>
#include <string.h>

#include "attestation/attester/tpm/device.h"
#include "attestation/evidence/tpm_hash.h"
#include "attestation/evidence/tpm_quote.h"
#include "base/file.h"
#include "base/ossl.h"

enum { ATTEMPTS = 8, FIRMWARE_LOG_LEN_MAX = 4 << 20 };

struct tpm_attester {
    struct attester   attester; /* first: a pointer to it is a pointer to us */
    struct tpm_device device;
    struct tpm_object ak;
    size_t            nonce_len;
    char              event_log[PATH_MAX];
};

/* Whether the values that were read are those that the TPM signed. */
static FALLIBLE values_are_quoted(const struct attested *found, bool *same, struct err *err)
{
    struct tpm_quote quote;
    uint8_t          digest[SHA256_LEN];

    if (!tpm_quote_parse(buffer_bytes(&found->report), &quote, err))
        return false;
    sha256_of(buffer_bytes(&found->pcrs), digest);
    *same = bytes_equal(quote.pcr_digest, BYTES_OF(digest));
    return true;
}

static FALLIBLE evidence(struct attester *self, const uint8_t report_data[static REPORT_DATA_LEN], struct attested *out,
                         struct err *err)
{
    struct tpm_attester *t     = (struct tpm_attester *) self;
    struct bytes         nonce = { report_data, t->nonce_len };
    bool                 same  = false;

    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        AUTO(attested) struct attested found = { 0 };

        if (!tpm_pcrs_read(&t->device, &found.pcrs, err) ||
            !tpm_quote_make(&t->device, &t->ak, nonce, &found.report, &found.signature, err) ||
            !values_are_quoted(&found, &same, err))
            return context(err, "TPM");
        if (!same)
            continue;
        if (!file_read(t->event_log, FIRMWARE_LOG_LEN_MAX, &found.event_log, err) && err->kind != ERR_NOT_FOUND)
            return context(err, "TPM event log");
        buffer_append(&found.public_key, buffer_bytes(&t->ak.public));
        *out = TAKE(found);
        return true;
    }
    return fail_with(err, ERR_TIMEOUT, "TPM: PCRs change faster than they can be quoted");
}

static FALLIBLE bind(struct attester *self, const uint8_t digest[static BOUND_DIGEST_LEN], struct err *err)
{
    return tpm_pcr_extend(&((struct tpm_attester *) self)->device, TPM_PCR_BOUND, digest, err) || context(err, "TPM");
}

static FALLIBLE extend(struct attester *self, struct bytes digest, struct err *err)
{
    return tpm_pcr_extend(&((struct tpm_attester *) self)->device, TPM_PCR_RUNTIME, digest.at, err) || context(err, "TPM");
}

static void tpm_close(struct attester *self)
{
    struct tpm_attester *t = (struct tpm_attester *) self;

    tpm_object_close(&t->device, &t->ak);
    tpm_device_close(&t->device);
    free(t);
}

FALLIBLE tpm_attester_open(const struct tpm_attester_options *options, struct attester **out, struct err *err)
{
    static const struct tpm_attester_options defaults = { 0 };
    const struct tpm_attester_options       *o        = options ? options : &defaults;
    const char                              *log      = o->event_log ? o->event_log
                                                              : "/sys/kernel/security/tpm0/binary_bios_measurements";
    struct tpm_attester                     *t        = zeroed(1, sizeof *t);
    AUTO(attester) struct attester          *made     = NULL;

    t->attester  = (struct attester){ "tpm", evidence, tpm_close, bind, extend, { "pcr15", TPM_PCR_RUNTIME, TPM_SHA256 } };
    t->ak        = NO_TPM_OBJECT;
    t->nonce_len = o->nonce_len > 0 ? o->nonce_len : TPM_NONCE_OF_COCO;
    made         = &t->attester;
    if (t->nonce_len > REPORT_DATA_LEN || strlen(log) >= sizeof t->event_log)
        return fail_with(err, ERR_CONFIG, "TPM: nonce of %zu bytes, or the log's path, is too long", t->nonce_len);
    memcpy(t->event_log, log, strlen(log) + 1);
    if (!tpm_device_open(o->tcti, &t->device, err) ||
        !(o->ak_handle ? tpm_object_at(&t->device, o->ak_handle, &t->ak, err)
                       : tpm_object_make_ak(&t->device, &t->ak, err)))
        return context(err, "TPM");
    *out = TAKE(made);
    return true;
}
