#include "attestation/verifier/event_claims.h"

#include <stdio.h>

#include "attestation/verifier/event_details.h"
#include "base/text.h"

enum { CLAIMED_EVENTS_MAX = 4096 };

/* "SHA-384", as CoCo's policies spell it. */
static const char *algorithm_name(const struct tpm_hash *hash)
{
    switch (hash->id) {
    case TPM_SHA1:
        return "SHA-1";
    case TPM_SHA256:
        return "SHA-256";
    case TPM_SHA384:
        return "SHA-384";
    case TPM_SHA512:
        return "SHA-512";
    default:
        return "SM3";
    }
}

static struct json_object *event_claim(const struct event_log *log, const struct event *e)
{
    struct json_object        *claim   = json_object_new_object();
    struct json_object        *digests = json_object_new_array();
    AUTO(buffer) struct buffer base64  = { 0 };
    enum event_data            data    = EVENT_DATA_LABEL;

    for (size_t i = 0; i < log->n_hashes; i++) {
        struct json_object *digest;

        if (e->digest[i].len == 0)
            continue;
        digest = json_object_new_object();
        json_add_text(digest, "alg", algorithm_name(log->hash[i]));
        json_add_hex(digest, "digest", e->digest[i]);
        (void) json_object_array_add(digests, digest); /* fails only without memory */
        data = event_data_judge(log, e, i); /* the last bank is the strongest in every log seen */
    }
    base64_append(&base64, e->data, BASE64_STANDARD);
    json_add(claim, "index", json_object_new_int64(e->index));
    json_add_text(claim, "type_name", event_type_name(e->type));
    json_add(claim, "digests", digests);
    json_add_text(claim, "event", buffer_text(&base64));
    json_add(claim, "details", event_details(e));
    json_add(claim, "digest_matches_event", json_object_new_boolean(data == EVENT_DATA_AUTHENTIC));
    json_add_text(claim, "event_data", event_data_name(data));
    return claim;
}

struct json_object *event_log_claims(const struct event_log *log)
{
    struct json_object *claims = json_object_new_array();
    struct reader       r      = reader_over(log->events);
    struct event        e;

    for (size_t i = 0; i < CLAIMED_EVENTS_MAX && event_next(log, &r, &e); i++)
        (void) json_object_array_add(claims, event_claim(log, &e)); /* fails only without memory */
    return claims;
}

static void add_pcrs(struct json_object *claims, const struct tpm_result *r)
{
    struct json_object *banks = json_object_new_object();

    for (size_t i = 0; i < r->quote.n_selections; i++) {
        const struct tpm_selection *s    = &r->quote.selection[i];
        const struct tpm_hash      *hash = tpm_hash_by_id(s->hash);
        struct json_object         *bank = json_object_new_object();

        for (unsigned pcr = 0; pcr < TPM_PCRS; pcr++) {
            struct bytes value = tpm_pcrs_get(&r->pcrs, s->hash, pcr);
            char         name[16];

            if (!(s->pcrs >> pcr & 1) || value.len == 0)
                continue;
            (void) snprintf(name, sizeof name, "%u", pcr); /* two digits */
            json_add_hex(bank, name, value);
            (void) snprintf(name, sizeof name, "pcr%02u", pcr);
            if (s->hash == TPM_SHA256)
                json_add_hex(claims, name, value);
        }
        json_add(banks, hash ? hash->name : "unknown", bank);
    }
    json_add(claims, "pcrs", banks);
}

struct json_object *tpm_claims(const struct tpm_result *r)
{
    struct json_object *claims, *clock;

    if (!r->is_genuine)
        return NULL;
    claims = json_object_new_object();
    clock  = json_object_new_object();
    json_add_hex(claims, "report_data", r->quote.extra_data);
    json_add_hex(claims, "pcr_digest", r->quote.pcr_digest);
    if (r->ak_name_len > 0)
        json_add_hex(claims, "ak_name", (struct bytes){ r->ak_name, r->ak_name_len });
    json_add_hex(claims, "qualified_signer", r->quote.qualified_signer);
    json_add(clock, "clock", json_object_new_uint64(r->quote.clock));
    json_add(clock, "reset_count", json_object_new_int64(r->quote.reset_count));
    json_add(clock, "restart_count", json_object_new_int64(r->quote.restart_count));
    json_add(clock, "safe", json_object_new_boolean(r->quote.is_clock_safe));
    json_add(claims, "clock", clock);
    if (r->has_pcrs)
        add_pcrs(claims, r);
    if (r->has_log)
        json_add(claims, "uefi_event_logs", event_log_claims(&r->log));
    return claims;
}
