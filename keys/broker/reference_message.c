#include "keys/broker/reference_message.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/broker/corim.h"
#include "keys/jose/jwt.h"

#define RVPS_VERSION "0.1.0"

enum { LEEWAY_S = 60 };

void reference_set_free(struct reference_set *set)
{
    json_object_put(set->values);
    *set = (struct reference_set){ 0 };
}

static FALLIBLE unsigned_allowed(const struct administrators *a, struct err *err)
{
    return !administrators_want_signatures(a) ||
           fail_with(err, ERR_UNTRUSTED, "this broker takes signed reference values only");
}

static FALLIBLE sample_read(struct bytes payload, struct reference_set *out, struct err *err)
{
    return json_read(payload, KBS_BODY_MAX, &out->values, err) || context(err, "reference values");
}

static FALLIBLE jws_payload_read(struct json_object *payload, int64_t now, struct reference_set *out, struct err *err)
{
    struct json_object *values;
    uint64_t            exp = 0;

    if (!json_get(payload, "reference-values", json_type_object, &values, err))
        return false;
    if (json_has(payload, "exp") && (!jwt_check_times(payload, (uint64_t) now, LEEWAY_S, err) ||
                                     !json_get_u64(payload, "exp", INT64_MAX, &exp, err)))
        return false;
    out->expires = (int64_t) exp;
    out->values  = json_object_get(values);
    return true;
}

static void signer_name(const char *name, struct reference_set *out)
{
    (void) snprintf(out->signer, sizeof out->signer, "%s", name); /* its own limit: fits */
}

static FALLIBLE jws_read(struct bytes payload, const struct administrators *a, int64_t now, struct reference_set *out,
                         struct err *err)
{
    (void) fail_with(err, ERR_UNTRUSTED, "no signer is configured");
    for (size_t i = 0; i < administrators_n_signers(a); i++) {
        AUTO(json) struct json_object *claims = NULL;
        const char                    *name;
        EVP_PKEY                      *key = administrators_signer(a, i, &name);

        if (!jwt_verify(payload, KBS_BODY_MAX, key, &claims, err))
            continue;
        signer_name(name, out);
        return jws_payload_read(claims, now, out, err);
    }
    return context(err, "signed reference values");
}

static FALLIBLE corim_verified(struct bytes text, const struct administrators *a, struct buffer *payload,
                               struct reference_set *out, struct err *err)
{
    EVP_PKEY   *keys[SIGNERS_MAX];
    const char *names[SIGNERS_MAX];
    size_t      which;

    for (size_t i = 0; i < administrators_n_signers(a); i++)
        keys[i] = administrators_signer(a, i, &names[i]);
    if (!corim_open_signed(text, keys, administrators_n_signers(a), payload, &which, err))
        return false;
    signer_name(names[which], out);
    return true;
}

static FALLIBLE corim_message_read(struct bytes text, const struct administrators *a, int64_t now,
                                   struct reference_set *out, struct err *err)
{
    AUTO(buffer) struct buffer payload   = { 0 };
    AUTO(corim) struct corim   corim     = { 0 };
    bool                       is_signed = corim_is_signed(text);

    if (is_signed ? !corim_verified(text, a, &payload, out, err) : !unsigned_allowed(a, err))
        return false;
    if (!corim_read(is_signed ? buffer_bytes(&payload) : text, now, &corim, err))
        return false;
    out->values  = json_object_get(corim.values);
    out->expires = corim.expires;
    return true;
}

static FALLIBLE payload_read(const char *type, struct bytes payload, const struct administrators *a, int64_t now,
                             struct reference_set *out, struct err *err)
{
    if (strcmp(type, "sample") == 0)
        return unsigned_allowed(a, err) && sample_read(payload, out, err);
    if (strcmp(type, "jws") == 0)
        return jws_read(payload, a, now, out, err);
    if (strcmp(type, "corim") == 0)
        return corim_message_read(payload, a, now, out, err);
    return fail_with(err, ERR_UNSUPPORTED, "reference values are of type sample, jws or corim, not \"%.20s\"", type);
}

FALLIBLE reference_message_read(struct bytes body, const struct administrators *administrators, int64_t now,
                                struct reference_set *out, struct err *err)
{
    AUTO(json) struct json_object           *message = NULL;
    AUTO(buffer) struct buffer               payload = { 0 };
    AUTO(reference_set) struct reference_set read    = { 0 };
    const char                              *version, *type, *text;

    if (!json_read(body, KBS_BODY_MAX, &message, err) || !json_get_text(message, "version", &version, err) ||
        !json_get_text(message, "type", &type, err) || !json_get_text(message, "payload", &text, err))
        return context(err, "message");
    if (strcmp(version, RVPS_VERSION) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "message: version is not " RVPS_VERSION);
    if (!base64_read(bytes_of_text(text), BASE64_STANDARD, &payload, err))
        return context(err, "message: payload");
    if (!payload_read(type, buffer_bytes(&payload), administrators, now, &read, err))
        return false;
    if (!json_object_is_type(read.values, json_type_object) || json_object_object_length(read.values) == 0)
        return fail_with(err, ERR_MALFORMED, "message: an object with at least one reference value is wanted");
    *out = TAKE(read);
    return true;
}
