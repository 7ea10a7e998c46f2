#include "attestation/verifier/tpm.h"

#include <openssl/crypto.h>
#include <string.h>

#include "attestation/verifier/der.h"

bool tpm_pcrs_set(struct tpm_pcrs *p, uint16_t hash, unsigned pcr, struct bytes value)
{
    const struct tpm_hash *found = tpm_hash_by_id(hash);
    size_t                 i     = 0;

    if (!found || pcr >= TPM_PCRS || value.len != found->len)
        return false;
    while (i < p->n_banks && p->bank[i].hash != found)
        i++;
    if (i == TPM_BANKS_MAX)
        return false;
    if (i == p->n_banks)
        p->bank[p->n_banks++].hash = found;
    p->bank[i].known |= 1U << pcr;
    memcpy(p->bank[i].value[pcr], value.at, value.len);
    return true;
}

struct bytes tpm_pcrs_get(const struct tpm_pcrs *p, uint16_t hash, unsigned pcr)
{
    for (size_t i = 0; i < p->n_banks; i++)
        if (p->bank[i].hash->id == hash && pcr < TPM_PCRS && (p->bank[i].known >> pcr & 1))
            return (struct bytes){ p->bank[i].value[pcr], p->bank[i].hash->len };
    return (struct bytes){ 0 };
}

bool tpm_pcr_digest(const struct tpm_quote *quote, const struct tpm_pcrs *pcrs, const struct tpm_hash *scheme_hash,
                    uint8_t out[static TPM_HASH_LEN_MAX])
{
    uint8_t       all[TPM_SELECTIONS_MAX * TPM_PCRS * TPM_HASH_LEN_MAX];
    struct writer w = writer_over(all, sizeof all);

    for (size_t i = 0; i < quote->n_selections; i++)
        for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++) {
            struct bytes value = tpm_pcrs_get(pcrs, quote->selection[i].hash, pcr);

            if (!(quote->selection[i].pcrs >> pcr & 1))
                continue;
            if (value.len == 0)
                return false;
            put(&w, value);
        }
    tpm_hash_of(scheme_hash, writer_bytes(&w), (struct bytes){ 0 }, out);
    return !w.failed;
}

static bool quote_read(struct bytes from, struct tpm_quote *out, struct appraisal *a)
{
    struct err          err    = { 0 };
    bool                read   = tpm_quote_parse(from, out, &err);
    enum verdict_reason reason = err.kind == ERR_UNTRUSTED     ? REASON_TPM_MAGIC
                                 : err.kind == ERR_UNSUPPORTED ? REASON_TPM_TYPE
                                                               : REASON_TPM_FORMAT;

    return check(a, read, reason, "quote: %s", read ? "well formed, made by a TPM" : err.text);
}

static bool attributes_check(const struct tpm_key *ak, const struct tpm_policy *policy, struct tpm_result *out,
                             struct appraisal *a)
{
    const uint32_t wanted = TPM_RESTRICTED | TPM_SIGN | TPM_FIXED_TPM | TPM_FIXED_PARENT | TPM_SENSITIVE_DATA_ORIGIN;

    if (!ak->has_public) {
        if (!ak->is_vouched)
            check_warns(a, REASON_TPM_AK_UNKNOWN_ATTRIBUTES, "attestation key: given without its public area");
        return check(a, !policy->has_ak_names, REASON_TPM_AK_NAME, "attestation key: its name is listed");
    }
    tpm_name_of(&ak->public, out->ak_name, &out->ak_name_len);
    return check(a, (ak->public.attributes & wanted) == wanted && !(ak->public.attributes & TPM_DECRYPT),
                 REASON_TPM_AK_ATTRIBUTES,
                 "attestation key: attributes %#x have restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin "
                 "and not decrypt", ak->public.attributes) &&
           check(a, !policy->has_ak_names || tpm_policy_allows_name(policy, (struct bytes){ out->ak_name, out->ak_name_len }),
                 REASON_TPM_AK_NAME, "attestation key: its name is listed");
}

/* Two INTEGERs: how tools write a bare ECDSA signature. [RFC 3279 2.2.3] */
static bool der_signature_read(struct bytes from, struct tpm_signature *out)
{
    struct reader whole = reader_over(from);
    struct reader pair  = take_der_reader(&whole, DER_SEQUENCE);
    struct bytes  r     = take_der_unsigned(&pair);
    struct bytes  s     = take_der_unsigned(&pair);
    struct err    err;

    if (!reader_done(&pair, &err) || !reader_done(&whole, &err))
        return false;
    *out = (struct tpm_signature){ .scheme = TPM_ECDSA, .r = r, .s = s };
    return true;
}

/* The bare value, as Azure's guests and some tools send it: scheme and hash are the key's, or RSASSA and SHA-256. */
static bool bare_signature_read(struct bytes from, const struct tpm_key *ak, struct tpm_signature *out)
{
    bool is_rsa     = EVP_PKEY_is_a(ak->key, "RSA");
    bool has_scheme = ak->has_public && ak->public.scheme != TPM_ALG_NULL;

    if (is_rsa ? from.len != (size_t) EVP_PKEY_get_size(ak->key) : !der_signature_read(from, out))
        return false;
    if (is_rsa)
        *out = (struct tpm_signature){ .scheme = has_scheme ? ak->public.scheme : TPM_RSASSA, .rsa = from };
    out->hash = has_scheme ? ak->public.scheme_hash : TPM_SHA256;
    return true;
}

/* A TPMT_SIGNATURE, or the bare value. */
static bool signature_read(struct bytes from, const struct tpm_key *ak, struct tpm_signature *out, struct appraisal *a)
{
    struct err err  = { 0 };
    bool       read = bare_signature_read(from, ak, out) || tpm_signature_parse(from, out, &err);

    return check(a, read, REASON_TPM_SIGNATURE_FORMAT, "signature: %s", read ? "well formed" : err.text);
}

static bool signature_check(struct bytes quote, const struct tpm_signature *s, const struct tpm_key *ak,
                            const struct tpm_policy *policy, struct appraisal *a)
{
    const struct tpm_public *p    = &ak->public;
    const struct tpm_hash   *hash = tpm_hash_by_id(s->hash);

    return check(a, hash && (!ak->has_public || p->scheme == TPM_ALG_NULL ||
                             (p->scheme == s->scheme && p->scheme_hash == s->hash)),
                 REASON_TPM_SIGNATURE_SCHEME, "signature: scheme %#x with hash %#x is the key's", s->scheme, s->hash) &&
           check(a, policy->allow_sha1 || s->hash != TPM_SHA1, REASON_TPM_WEAK_HASH, "signature: over %s", hash->name) &&
           check(a, tpm_signed(ak->key, s, quote), REASON_TPM_SIGNATURE, "quote: signed by the attestation key");
}

static bool freshness_check(const struct tpm_quote *quote, const struct tpm_question *q, struct appraisal *a)
{
    struct bytes found = quote->extra_data;

    if (!quote->is_clock_safe && !q->policy->allow_unsafe_clock)
        check_warns(a, REASON_TPM_CLOCK_UNSAFE, "quote: the TPM's clock is not marked safe");
    if (!q->has_nonce) {
        check_warns(a, REASON_TPM_NONCE_UNCHECKED, "quote: no nonce was expected");
        return true;
    }
    return check(a, found.len == q->nonce.len && CRYPTO_memcmp(found.at, q->nonce.at, found.len) == 0, REASON_TPM_NONCE,
                 "quote: its %zu bytes of qualifying data are the nonce", found.len);
}

static bool selection_equal(const struct tpm_quote *quote, const struct tpm_policy *policy)
{
    size_t n_wanted = 0, n_quoted = 0;

    for (size_t i = 0; i < policy->n_selections; i++) {
        n_wanted += policy->selection[i].pcrs != 0;
        for (size_t k = 0; k < quote->n_selections; k++)
            if (policy->selection[i].hash == quote->selection[k].hash &&
                policy->selection[i].pcrs != quote->selection[k].pcrs)
                return false;
    }
    for (size_t k = 0; k < quote->n_selections; k++) {
        bool is_wanted = false;

        n_quoted += quote->selection[k].pcrs != 0;
        for (size_t i = 0; i < policy->n_selections; i++)
            is_wanted |= policy->selection[i].hash == quote->selection[k].hash;
        if (!is_wanted && quote->selection[k].pcrs != 0)
            return false;
    }
    return n_wanted == n_quoted;
}

static bool selection_check(const struct tpm_quote *quote, const struct tpm_policy *policy, struct appraisal *a)
{
    for (size_t i = 0; i < quote->n_selections; i++)
        if (quote->selection[i].hash == TPM_SHA1 && !policy->allow_sha1)
            check_warns(a, REASON_TPM_WEAK_BANK, "quote: PCRs of the SHA-1 bank");
    return check(a, !policy->has_selection || selection_equal(quote, policy), REASON_TPM_PCR_SELECTION,
                 "quote: exactly the PCRs that policy demands");
}

static bool digest_matches(const struct tpm_quote *quote, const struct tpm_pcrs *pcrs, const struct tpm_hash *hash)
{
    uint8_t digest[TPM_HASH_LEN_MAX];

    return tpm_pcr_digest(quote, pcrs, hash, digest) &&
           bytes_equal(quote->pcr_digest, (struct bytes){ digest, hash->len });
}

static bool no_data_is_forged(const struct event_log *log, size_t bank)
{
    struct reader r = reader_over(log->events);
    struct event  e;

    while (event_next(log, &r, &e))
        if (event_data_judge(log, &e, bank) == EVENT_DATA_FORGED)
            return false;
    return true;
}

/* Every PCR of one quoted bank has the value that the log gives it, or policy says that it may have another. */
static bool bank_explained(const struct tpm_selection *s, const struct tpm_pcrs *presented, const struct event_replay *replay,
                           const struct tpm_policy *policy, struct appraisal *a)
{
    for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++) {
        struct bytes value     = tpm_pcrs_get(presented, s->hash, pcr);
        struct bytes explained = { replay->value[pcr], replay->hash->len };

        if (!(s->pcrs >> pcr & 1) || bytes_equal(value, explained) || (policy->unlogged_pcrs >> pcr & 1))
            continue;
        return check(a, false, replay->is_extended[pcr] ? REASON_TPM_EVENT_LOG_REPLAY : REASON_TPM_EVENT_LOG_UNEXPLAINED,
                     "event log: %s PCR %u has the value that the log gives it", replay->hash->name, pcr);
    }
    return true;
}

static bool bank_check(const struct tpm_selection *s, const struct tpm_pcrs *presented, struct tpm_pcrs *replayed,
                       const struct event_log *log, const struct tpm_policy *policy, struct appraisal *a)
{
    struct event_replay replay = { 0 };
    struct err          err    = { 0 };
    bool                done   = event_log_replay(log, s->hash, &replay, &err);

    if (!check(a, done, REASON_TPM_EVENT_LOG_REPLAY, "event log: %s", done ? "has the quoted bank" : err.text))
        return false;
    for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++)
        if (s->pcrs >> pcr & 1)
            (void) tpm_pcrs_set(replayed, s->hash, pcr, (struct bytes){ replay.value[pcr], replay.hash->len });
    return (!presented || bank_explained(s, presented, &replay, policy, a)) &&
           check(a, policy->allow_event_separators || !event_replay_has_extra_separators(log, &replay), REASON_TPM_EVENT_LOG_SEPARATOR,
                 "event log: one good separator in each of PCR 0 to 7") &&
           check(a, policy->allow_event_data || no_data_is_forged(log, event_log_bank(log, s->hash)),
                 REASON_TPM_EVENT_DATA, "event log: data is what its digest says, where the digest is of the data");
}

static bool log_check(const struct tpm_evidence *e, const struct tpm_policy *policy, const struct tpm_hash *scheme_hash,
                      struct tpm_result *out, struct appraisal *a)
{
    struct tpm_pcrs replayed = { 0 };
    struct err      err      = { 0 };
    bool            read     = event_log_parse(e->event_log, EVENT_LOG_TPM, &out->log, &err);

    if (!check(a, read, REASON_TPM_EVENT_LOG_FORMAT, "event log: %s", read ? "well formed" : err.text))
        return false;
    for (size_t i = 0; i < out->quote.n_selections; i++)
        if (out->quote.selection[i].pcrs != 0 &&
            !bank_check(&out->quote.selection[i], e->pcrs, &replayed, &out->log, policy, a))
            return false;
    if (!e->pcrs) {
        if (!check(a, digest_matches(&out->quote, &replayed, scheme_hash), REASON_TPM_EVENT_LOG_REPLAY,
                   "event log: its replay gives the quoted PCR digest"))
            return false;
        out->pcrs     = replayed;
        out->has_pcrs = true;
    }
    out->has_log = true;
    return true;
}

/* For each PCR that policy has values of, one of them is the quoted one. */
static void values_check(const struct tpm_policy *policy, const struct tpm_result *r, struct appraisal *a)
{
    for (size_t i = 0; i < tpm_policy_n_values(policy); i++) {
        struct tpm_pcr_value v        = tpm_policy_value(policy, i);
        struct bytes         found    = r->has_pcrs ? tpm_pcrs_get(&r->pcrs, v.hash, v.pcr) : (struct bytes){ 0 };
        bool                 is_first = true, matches = false, is_quoted = false;

        for (size_t k = 0; k < r->quote.n_selections; k++)
            is_quoted |= r->quote.selection[k].hash == v.hash && (r->quote.selection[k].pcrs >> v.pcr & 1);
        for (size_t k = 0; k < tpm_policy_n_values(policy); k++) {
            struct tpm_pcr_value other = tpm_policy_value(policy, k);

            if (other.hash != v.hash || other.pcr != v.pcr)
                continue;
            is_first &= k >= i;
            matches |= is_quoted && bytes_equal(found, (struct bytes){ other.value, tpm_hash_by_id(v.hash)->len });
        }
        if (is_first)
            check(a, matches, REASON_TPM_PCR_VALUE, "%s PCR %u has a value of policy", tpm_hash_by_id(v.hash)->name, v.pcr);
    }
}

void tpm_appraise(const struct tpm_evidence *evidence, const struct tpm_key *ak, const struct tpm_question *q,
                  struct tpm_result *out, struct appraisal *a)
{
    struct tpm_signature s = { 0 };

    if (!quote_read(evidence->quote, &out->quote, a) || !attributes_check(ak, q->policy, out, a) ||
        !signature_read(evidence->signature, ak, &s, a) || !signature_check(evidence->quote, &s, ak, q->policy, a) ||
        !freshness_check(&out->quote, q, a))
        return;
    out->is_genuine = true;

    const struct tpm_hash *scheme_hash = tpm_hash_by_id(s.hash); /* signature_check knows it */

    if (!selection_check(&out->quote, q->policy, a))
        return;
    if (evidence->pcrs) {
        if (!check(a, digest_matches(&out->quote, evidence->pcrs, scheme_hash), REASON_TPM_PCR_DIGEST,
                   "PCR values: their digest is the quoted one"))
            return;
        out->pcrs     = *evidence->pcrs;
        out->has_pcrs = true;
    }
    if (evidence->has_event_log && !log_check(evidence, q->policy, scheme_hash, out, a))
        return;
    values_check(q->policy, out, a);
}

bool tpm_verify(const struct tpm_evidence *evidence, const struct tpm_key *ak, const struct tpm_question *q,
                struct tpm_result *out)
{
    *out               = (struct tpm_result){ 0 };
    struct appraisal a = appraisal_start(&out->verdict, q->listener);

    tpm_appraise(evidence, ak, q, out, &a);
    if (!a.failed)
        check(&a, out->is_genuine, REASON_INTERNAL, "every stage was reached");
    return appraisal_finish(&a);
}
