#include "guest/agent/measurements.h"

#include <string.h>

#include "attestation/evidence/event_log.h"
#include "base/json.h"

void measurements_free(struct measurements *m)
{
    buffer_free(&m->log);
}

void measurements_lock(struct measurements *m)
{
    if (pthread_mutex_lock(&m->lock) != 0)
        abort();
}

void measurements_unlock(struct measurements *m)
{
    if (pthread_mutex_unlock(&m->lock) != 0)
        abort();
}

struct runtime_register measurements_register(const struct measurements *m)
{
    return m->attester->runtime.name ? m->attester->runtime : (struct runtime_register){ "software", CC_RTMR3, TPM_SHA384 };
}

static FALLIBLE check_room(const struct measurements *m, size_t more, bool is_of_workload, struct err *err)
{
    size_t most = is_of_workload ? MEASUREMENTS_LOG_OF_WORKLOADS : MEASUREMENTS_LOG_MAX;

    if (m->n == MEASUREMENTS_MAX || (is_of_workload && m->n_of_workloads == MEASUREMENTS_OF_WORKLOADS) ||
        m->log.len > most || more > most - m->log.len)
        return fail_with(err, ERR_LIMIT, "the event log is full: %u events, %zu bytes", m->n, m->log.len);
    return true;
}

static FALLIBLE add(struct measurements *m, const struct aael_event *event, bool is_of_workload, struct err *err)
{
    struct runtime_register    where  = measurements_register(m);
    const struct tpm_hash     *hash   = tpm_hash_by_id(where.hash);
    AUTO(buffer) struct buffer record = { 0 };
    uint8_t                    digest[TPM_HASH_LEN_MAX];
    struct bytes               by = { digest, hash->len };

    if (is_of_workload && (strcmp(event->domain, AAEL_DOMAIN_COCO) == 0 || strcmp(event->domain, AAEL_DOMAIN_CLOISTER) == 0))
        return fail_with(err, ERR_DENIED, "events of domain %s are the guest's own", event->domain);
    if (!aael_append(event, where.index, hash, &record, digest, err) || !check_room(m, record.len, is_of_workload, err) ||
        (m->attester->extend && !m->attester->extend(m->attester, by, err)))
        return false;
    tpm_hash_of(hash, (struct bytes){ m->value, hash->len }, by, m->value);
    buffer_append(&m->log, buffer_bytes(&record));
    m->n++;
    m->n_of_workloads += is_of_workload;
    return true;
}

FALLIBLE measurements_add(struct measurements *m, const struct aael_event *event, bool is_of_workload, struct err *err)
{
    bool ok;

    measurements_lock(m);
    ok = add(m, event, is_of_workload, err);
    measurements_unlock(m);
    return ok;
}

void measurements_image_text(const char *name, const char *digest, struct buffer *out)
{
    AUTO(json) struct json_object *text = json_object_new_string(name);

    buffer_append_text(out, "{\"image\":");
    buffer_append_text(out, json_object_to_json_string_ext(text, JSON_C_TO_STRING_NOSLASHESCAPE));
    buffer_printf(out, ", \"digest\":\"%s\"}", digest); /* one blank, as CoCo's guests have it */
}
