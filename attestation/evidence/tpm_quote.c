#include "attestation/evidence/tpm_quote.h"

enum { ATTEST_QUOTE = 0x8018, SELECT_LEN_MAX = 4 };
static const uint32_t generated_value = 0xff544347; /* TPM_GENERATED_VALUE */

FALLIBLE tpm_selections_read(struct reader *r, struct tpm_selection out[static TPM_SELECTIONS_MAX], size_t *n,
                             struct err *err)
{
    uint32_t count = take_u32be(r);

    if (!reader_ok(r, err))
        return context(err, "PCR selection");
    if (count > TPM_SELECTIONS_MAX)
        return fail_with(err, ERR_LIMIT, "%u PCR selections; at most %d are allowed", count, TPM_SELECTIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        out[i]            = (struct tpm_selection){ .hash = take_u16be(r) };
        struct bytes bits = take(r, take_u8(r));

        if (!reader_ok(r, err))
            return context(err, "PCR selection");
        if (bits.len > SELECT_LEN_MAX)
            return fail_with(err, ERR_UNSUPPORTED, "PCR selection of %zu bytes", bits.len);
        for (size_t k = 0; k < bits.len; k++)
            out[i].pcrs |= (uint32_t) bits.at[k] << (8 * k);
        if (out[i].pcrs >> TPM_PCRS)
            return fail_with(err, ERR_UNSUPPORTED, "PCR selection beyond PCR %d", TPM_PCRS - 1);
        for (size_t k = 0; k < i; k++)
            if (out[k].hash == out[i].hash)
                return fail_with(err, ERR_MALFORMED, "bank %#x is selected twice", out[i].hash);
    }
    *n = count;
    return true;
}

FALLIBLE tpm_quote_parse(struct bytes whole, struct tpm_quote *out, struct err *err)
{
    struct reader    r = reader_over(whole);
    struct tpm_quote q = { .whole = whole };

    if (whole.len > TPM_ATTEST_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "TPM quote of %zu bytes; at most %d are allowed", whole.len,
                         TPM_ATTEST_LEN_MAX);
    uint32_t magic = take_u32be(&r);
    uint16_t type  = take_u16be(&r);

    if (!reader_ok(&r, err))
        return context(err, "TPM quote");
    if (magic != generated_value)
        return fail_with(err, ERR_UNTRUSTED, "TPM quote: magic %#x: no TPM made this", magic);
    if (type != ATTEST_QUOTE)
        return fail_with(err, ERR_UNSUPPORTED, "TPM quote: attestation of type %#x", type);

    q.qualified_signer = take(&r, take_u16be(&r));
    q.extra_data       = take(&r, take_u16be(&r));
    q.clock            = take_u64be(&r);
    q.reset_count      = take_u32be(&r);
    q.restart_count    = take_u32be(&r);
    uint8_t safe       = take_u8(&r);
    q.firmware_version = take_u64be(&r);
    if (!reader_ok(&r, err) || !tpm_selections_read(&r, q.selection, &q.n_selections, err))
        return context(err, "TPM quote");
    q.pcr_digest = take(&r, take_u16be(&r));
    if (!reader_done(&r, err))
        return context(err, "TPM quote");
    if (safe > 1 || q.extra_data.len > TPM_NONCE_LEN_MAX)
        return fail_with(err, ERR_MALFORMED, "TPM quote: clock or nonce out of range");
    q.is_clock_safe = safe == 1;
    *out            = q;
    return true;
}
