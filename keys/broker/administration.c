#include "keys/broker/administration.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "keys/api/admin.h"
#include "keys/api/limits.h"
#include "keys/jose/jwe.h"

/* ---- resources ---- */

/* What another key store keeps is not changed, and not read back, through this broker. */
static FALLIBLE is_kept_here(const struct call *call, struct err *err)
{
    const char *keeper = external_keeper(call->broker->external, call->rest);

    return !keeper || fail_with(err, ERR_UNSUPPORTED, "%.120s is kept by %s: put, read and remove it there", call->rest, keeper);
}

FALLIBLE resource_put(struct call *call, struct err *err)
{
    AUTO(secret) struct secret value = { 0 };
    uint64_t                   uses  = USES_UNLIMITED;

    if (!call_path_check(call->rest, err) || !caller_may(&call->caller, MAY_PUT, call->rest, err) || !is_kept_here(call, err) ||
        (json_has(call->caller.claims, "uses") && !json_get_u64(call->caller.claims, "uses", USES_MAX, &uses, err)))
        return false;
    if (call->request->body.len == 0) {
        call->status = STATUS_BAD; /* no 401: it is not the administrator's token that is wrong */
        return fail_with(err, ERR_MALFORMED, "the resource is empty: a secret has at least one byte");
    }
    if (call->request->body.len > KBS_RESOURCE_MAX)
        return fail_with(err, ERR_LIMIT, "a resource of %zu bytes; at most %d", call->request->body.len, KBS_RESOURCE_MAX);
    call->answer->content_type = "text/xml"; /* as Trustee has it */
    return secret_copy(call->request->body, &value, err) &&
           store_resource_put(call->broker->store, call->rest, &value, uses, call->request->now, err) &&
           call_audit(call, "put", call->rest, err);
}

FALLIBLE resource_remove(struct call *call, struct err *err)
{
    call->answer->content_type = "text/xml"; /* as Trustee has it */
    return call_path_check(call->rest, err) && caller_may(&call->caller, MAY_PUT, call->rest, err) && is_kept_here(call, err) &&
           store_resource_remove(call->broker->store, call->rest, err) &&
           call_audit(call, "remove", call->rest, err);
}

static void list_resource(void *owner, const struct store_resource *r)
{
    struct listing *l = owner;

    if (!caller_sees(l->caller, r->path))
        return;
    listing_separate(l);
    buffer_printf(l->out, "{\"path\":\"%s\",\"len\":%llu,\"created\":%lld,\"changed\":%lld,\"uses\":", r->path,
                  (unsigned long long) r->len, (long long) r->created, (long long) r->changed);
    if (r->is_counted)
        buffer_printf(l->out, "%llu}", (unsigned long long) r->uses_left);
    else
        buffer_append_text(l->out, "null}");
}

FALLIBLE resource_list(struct call *call, struct err *err)
{
    struct listing l = { .out = &call->answer->body, .caller = &call->caller };

    if (!caller_may(&call->caller, MAY_LIST, "", err))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(l.out, "{\"resources\":[");
    if (!store_resources_each(call->broker->store, list_resource, &l, err))
        return false;
    buffer_append_text(l.out, "]}");
    return true;
}

/* To an administrator too, a secret travels only inside a JWE. */
FALLIBLE resource_read(struct call *call, struct err *err)
{
    AUTO(jwk) struct jwk       reply = { 0 };
    AUTO(secret) struct secret value = { 0 };
    struct json_object        *key;

    call->answer->content_type = JSON_TYPE;
    return call_path_check(call->rest, err) && caller_may(&call->caller, MAY_READ, call->rest, err) && is_kept_here(call, err) &&
           json_get(call->caller.claims, "reply-key", json_type_object, &key, err) &&
           jwk_read(key, &reply, err) && store_resource_get(call->broker->store, call->rest, &value, err) &&
           jwe_seal(&reply, &value, &call->answer->body, err) &&
           call_audit(call, "read", call->rest, err);
}

/* ---- reference values: measurements and initdata digests, by path ---- */

static void list_reference(void *owner, const struct reference *r)
{
    struct listing *l = owner;

    if (r->resource[0] && !caller_sees(l->caller, r->resource))
        return; /* what counts for all tenants, each of them sees */
    listing_separate(l);
    buffer_printf(l->out, "{\"id\":%lld,\"kind\":\"%s\",\"tee\":\"%s\",\"value\":\"", (long long) r->id,
                  reference_kind_name(r->kind), r->tee);
    hex_append(l->out, r->value);
    buffer_printf(l->out, "\",\"resource\":\"%s\",\"created\":%lld,\"expires\":%lld}", r->resource,
                  (long long) r->created, (long long) r->expires);
}

FALLIBLE reference_list(struct call *call, struct err *err)
{
    struct listing l = { .out = &call->answer->body, .caller = &call->caller };

    if (!caller_may(&call->caller, MAY_LIST, "", err))
        return false;
    call->answer->content_type = JSON_TYPE;
    buffer_append_text(l.out, "{\"references\":[");
    if (!store_references_each(call->broker->store, list_reference, &l, err))
        return false;
    buffer_append_text(l.out, "]}");
    return true;
}

/*
 * What each TEE's fields hold, in bytes. Where the field is a PCR, it holds the digest extended once from zero. Where no
 * measurement is one value, the registers are registered by name: see reference_value.h.
 */
static const struct { enum tee tee; size_t measurement, initdata; bool is_pcr; } FIELDS[] = {
    { TEE_SNP, 48, 32, false },        { TEE_SAMPLE, 5, 32, false },     { TEE_TDX, 0, 48, false },
    { TEE_AZ_SNP_VTPM, 0, 32, true },  { TEE_AZ_TDX_VTPM, 0, 32, true }, { TEE_TPM, 0, 32, true },
};

static FALLIBLE pcr_extended(struct bytes digest, uint8_t *field, struct err *err)
{
    uint8_t both[2 * SHA256_LEN] = { 0 };

    if (digest.len != SHA256_LEN)
        return fail_with(err, ERR_MALFORMED, "value: a PCR takes a SHA-256, not a digest of %zu bytes", digest.len);
    memcpy(both + SHA256_LEN, digest.at, SHA256_LEN);
    sha256_of(BYTES_OF(both), field);
    return true;
}

/* A digest longer than the field is cut and a shorter one padded, as the hardware's field has it. */
static FALLIBLE value_fit(enum reference_kind kind, enum tee tee, struct bytes value, uint8_t *field, size_t *len,
                          struct err *err)
{
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        if (FIELDS[i].tee != tee)
            continue;
        *len = kind == REFERENCE_MEASUREMENT ? FIELDS[i].measurement : FIELDS[i].initdata;
        if (*len == 0)
            return fail_with(err, ERR_UNSUPPORTED, "a measurement of %s is several registers: register them by name", tee_name(tee));
        if (kind == REFERENCE_MEASUREMENT ? value.len != *len
                                          : value.len < ADMIN_DIGEST_LEAST || value.len > ADMIN_DIGEST_MOST)
            return fail_with(err, ERR_MALFORMED, "value: no %s of %s has a length of %zu bytes", reference_kind_name(kind),
                             tee_name(tee), value.len);
        if (FIELDS[i].is_pcr)
            return pcr_extended(value, field, err);
        memset(field, 0, *len);
        memcpy(field, value.at, value.len < *len ? value.len : *len);
        return true;
    }
    return fail_with(err, ERR_UNSUPPORTED, "no reference values of %s", tee_name(tee));
}

struct reference_request {
    struct reference reference;
    uint8_t          field[REFERENCE_VALUE_MAX];
};

static FALLIBLE reference_request_read(struct json_object *body, int64_t now, struct reference_request *out,
                                       struct err *err)
{
    AUTO(buffer) struct buffer value = { 0 };
    struct reference          *r     = &out->reference;
    const char                *kind, *tee_text, *hex;
    uint64_t                   expires = 0;
    enum tee                   tee;

    *out = (struct reference_request){ .reference = { .resource = "", .created = now } };
    if (!json_get_text(body, "kind", &kind, err) || !json_get_text(body, "tee", &tee_text, err) ||
        !json_get_text(body, "value", &hex, err))
        return false;
    if (!tee_by_name(tee_text, &tee, err))
        return fail_with(err, err->kind, "tee is none of snp, tdx, az-snp-vtpm, az-tdx-vtpm, tpm");
    if (!reference_kind_by_name(kind, &r->kind))
        return fail_with(err, ERR_MALFORMED, "kind is neither \"measurement\" nor \"initdata\"");
    if (strlen(hex) > 2 * REFERENCE_VALUE_MAX || !hex_read(bytes_of_text(hex), &value, err))
        return fail_with(err, ERR_MALFORMED, "value is not hex of at most %d bytes", REFERENCE_VALUE_MAX);
    if (json_has(body, "resource") && (!json_get_text(body, "resource", &r->resource, err) || !call_path_check(r->resource, err)))
        return false;
    if (json_has(body, "expires") && !json_get_u64(body, "expires", INT64_MAX, &expires, err))
        return false;
    r->expires = (int64_t) expires;
    r->tee     = tee_name(tee);
    if (!value_fit(r->kind, tee, buffer_bytes(&value), out->field, &r->value.len, err))
        return false;
    r->value.at = out->field;
    return true;
}

FALLIBLE reference_add(struct call *call, struct err *err)
{
    AUTO(json) struct json_object *body = NULL;
    struct reference_request       r;
    int64_t                        id;
    AUTO(buffer) struct buffer     subject = { 0 };

    if (!json_read(call->request->body, KBS_BODY_MAX, &body, err) ||
        !reference_request_read(body, call->request->now, &r, err) ||
        !caller_may(&call->caller, MAY_REFERENCE, r.reference.resource[0] ? r.reference.resource : NULL, err) ||
        !store_reference_add(call->broker->store, &r.reference, &id, err))
        return false;
    buffer_printf(&call->answer->body, "{\"id\":%lld}", (long long) id);
    call->answer->content_type = JSON_TYPE;
    buffer_printf(&subject, "%lld %s %s ", (long long) id, r.reference.tee, reference_kind_name(r.reference.kind));
    hex_append(&subject, r.reference.value);
    buffer_printf(&subject, " for %s", r.reference.resource[0] ? r.reference.resource : "all");
    return call_audit(call, "expect", buffer_text(&subject), err);
}

struct sought {
    int64_t id;
    bool    is_found;
    char    resource[512];
};

static void seek(void *owner, const struct reference *r)
{
    struct sought *sought = owner;

    if (r->id != sought->id)
        return;
    sought->is_found = true;
    (void) snprintf(sought->resource, sizeof sought->resource, "%s", r->resource); /* a valid path: fits */
}

FALLIBLE reference_remove(struct call *call, struct err *err)
{
    struct sought sought = { 0 };
    char         *end    = NULL;

    errno     = 0;
    sought.id = strtoll(call->rest, &end, 10);
    if (call->rest[0] < '1' || call->rest[0] > '9' || *end != 0 || errno != 0)
        return fail_with(err, ERR_MALFORMED, "a reference value is named by its number");
    if (!caller_may(&call->caller, MAY_REFERENCE, "", err) || !store_references_each(call->broker->store, seek, &sought, err))
        return false;
    if (sought.is_found && !caller_may(&call->caller, MAY_REFERENCE, sought.resource[0] ? sought.resource : NULL, err))
        return false;
    return store_reference_remove(call->broker->store, sought.id, err) && call_audit(call, "forget", call->rest, err);
}
