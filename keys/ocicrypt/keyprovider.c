#include "keys/ocicrypt/keyprovider.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/ossl.h"
#include "base/text.h"
#include "keys/ocicrypt/packet.h"

#define PROVIDER   "attestation-agent"
#define SAMPLE_KID "kbs:///default/test-key/1"
#define FORM       "keyid=kbs:///REPOSITORY/TYPE/TAG::keypath=FILE[::algorithm=A256GCM]"

/* Published with CoCo's sample provider: a test key, no secret. */
static const uint8_t sample_key[ENC_KEY_LEN] = {
    0xd9, 0x9b, 0x77, 0x05, 0xb0, 0xba, 0x7a, 0x16, 0x82, 0x95, 0xb3, 0xa3, 0x36, 0x72, 0x70, 0xb0,
    0xdd, 0x9b, 0x37, 0x1b, 0xf5, 0x14, 0xca, 0x8b, 0x9b, 0xa7, 0xf0, 0xa3, 0x37, 0x11, 0xda, 0xea,
};

struct parameters {
    struct buffer text; /* backs the others, split by zeros */
    const char   *keyid, *keypath, *algorithm, *sample; /* NULL when not given */
};

static inline void auto_parameters(struct parameters *p) { buffer_free(&p->text); }

static FALLIBLE parameter_set(struct parameters *p, const char *name, const char *value, struct err *err)
{
    const struct { const char *name; const char **into; } known[] = {
        { "keyid", &p->keyid }, { "keypath", &p->keypath }, { "algorithm", &p->algorithm }, { "sample", &p->sample },
    };
    AUTO(buffer) struct buffer shown = { 0 };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) != 0)
            continue;
        if (*known[i].into)
            return fail_with(err, ERR_CONFIG, "parameter %s is given twice", name);
        *known[i].into = value;
        return true;
    }
    printable_append(&shown, bytes_of_text(name), 40);
    return fail_with(err, ERR_CONFIG, "no parameter \"%s\"; wanted is " FORM, buffer_text(&shown));
}

static FALLIBLE parameters_split(struct parameters *p, struct err *err)
{
    char *at = (char *) (uintptr_t) buffer_text(&p->text); /* ours to cut */

    while (at) {
        char *next   = strstr(at, "::");
        char *equals = strchr(at, '=');

        if (next) {
            *next = '\0';
            next += 2;
        }
        if (!equals || (next && equals >= next - 2))
            return fail_with(err, ERR_CONFIG, "parameters are not NAME=VALUE; wanted is " FORM);
        *equals = '\0';
        if (!parameter_set(p, at, equals + 1, err))
            return false;
        at = next;
    }
    return true;
}

/* `config` is {"Parameters":{"attestation-agent":["<base64>"]}}. */
static FALLIBLE parameters_read(struct json_object *config, bool has_broker, struct parameters *p, struct err *err)
{
    struct json_object *all = NULL, *list = NULL, *one = NULL;

    if (!json_get(config, "Parameters", json_type_object, &all, err) ||
        !json_get(all, PROVIDER, json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) != 1)
        return fail_with(err, ERR_CONFIG, "%zu sets of parameters for " PROVIDER "; give one",
                         json_object_array_length(list));
    one = json_object_array_get_idx(list, 0);
    if (!json_object_is_type(one, json_type_string) ||
        !base64_read(bytes_of_text(json_object_get_string(one)), BASE64_STANDARD, &p->text, err))
        return fail_with(err, ERR_MALFORMED, "parameters for " PROVIDER " are not base64");
    if (p->text.len == 0 && has_broker)
        return true;
    if (p->text.len == 0 || memchr(p->text.at, 0, p->text.len))
        return fail_with(err, ERR_CONFIG, "no parameters for " PROVIDER "; wanted is " FORM);
    return parameters_split(p, err);
}

/* A key of its own name, for an image whose owner does not care for one. */
static FALLIBLE kid_make(char out[static ENC_KID_MAX + 1], struct err *err)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint8_t                    name[16];

    if (!random_bytes(name, sizeof name, err))
        return false;
    hex_append(&hex, BYTES_OF(name));
    (void) snprintf(out, ENC_KID_MAX + 1, "kbs:///default/image-key/%s", buffer_text(&hex)); /* fits */
    return true;
}

/* The broker's key under this name; a fresh one, registered before it is used, when it has none. */
static FALLIBLE broker_key(const struct keyprovider_keys *keys, const char *kid, bool is_fresh, struct secret *out,
                           struct err *err)
{
    if (!is_fresh && keys->fetch(keys->owner, kid, out, err))
        return true;
    if (!is_fresh && err->kind != ERR_NOT_FOUND)
        return false;
    return secret_random(ENC_KEY_LEN, out, err) && keys->keep(keys->owner, kid, out, err);
}

/* The key to wrap with, and its name. */
static FALLIBLE key_for_wrapping(const struct parameters *p, const struct keyprovider_keys *keys, struct secret *out,
                                 char kid[static ENC_KID_MAX + 1], struct err *err)
{
    if (p->sample && strcmp(p->sample, "true") == 0 && !p->keypath && !p->keyid) {
        (void) snprintf(kid, ENC_KID_MAX + 1, SAMPLE_KID); /* fits */
        return secret_copy(BYTES_OF(sample_key), out, err);
    }
    if (p->sample)
        return fail_with(err, ERR_CONFIG, "sample=true stands alone");
    if (!p->keyid && (p->keypath || !keys->keep))
        return fail_with(err, ERR_CONFIG, "keyid is missing; wanted is " FORM);
    if (p->keyid ? !kid_read(bytes_of_text(p->keyid), kid, err) : !kid_make(kid, err))
        return false;
    if (p->keypath)
        return keys->file(keys->owner, p->keypath, out, err) && (!keys->keep || keys->keep(keys->owner, kid, out, err));
    if (!keys->keep)
        return fail_with(err, ERR_CONFIG, "keypath is missing; wanted is " FORM ", or a broker: see --help");
    return broker_key(keys, kid, !p->keyid, out, err);
}

static FALLIBLE key_for_unwrapping(const struct parameters *p, const struct keyprovider_keys *keys, const char *kid,
                                   struct secret *out, struct err *err)
{
    if (p->sample && strcmp(p->sample, "true") == 0 && !p->keypath && !p->keyid)
        return secret_copy(BYTES_OF(sample_key), out, err);
    if (p->sample)
        return fail_with(err, ERR_CONFIG, "sample=true stands alone");
    if (p->keypath)
        return keys->file(keys->owner, p->keypath, out, err);
    if (!keys->fetch)
        return fail_with(err, ERR_CONFIG, "keypath is missing; wanted is " FORM ", or a broker: see --help");
    return keys->fetch(keys->owner, kid, out, err);
}

static FALLIBLE algorithm_get(const struct parameters *p, enum wrap_type *out, struct err *err)
{
    *out = p->algorithm && strcmp(p->algorithm, "A256CTR") == 0 ? WRAP_A256CTR : WRAP_A256GCM;
    if (p->algorithm && *out == WRAP_A256GCM && strcmp(p->algorithm, "A256GCM") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "algorithm is neither A256GCM nor A256CTR");
    return true;
}

/* Bytes as base64 text, as Go writes them, or as an array of numbers, as Rust does. */
static FALLIBLE blob_read(struct json_object *from, const char *name, struct buffer *out, struct err *err)
{
    struct json_object *value = NULL;

    if (!json_object_object_get_ex(from, name, &value) || !value)
        return fail_with(err, ERR_MALFORMED, "\"%s\" is missing", name);
    if (json_object_is_type(value, json_type_string)) {
        struct bytes text = bytes_of_text(json_object_get_string(value));

        if (text.len > 0 && text.at[0] == '{') { /* ocicrypt-rs puts the options there as they are */
            buffer_append(out, text);
            return true;
        }
        return base64_read(text, BASE64_STANDARD, out, err) || contextf(err, "\"%s\"", name);
    }
    if (!json_object_is_type(value, json_type_array))
        return fail_with(err, ERR_MALFORMED, "\"%s\": base64 or an array of numbers is wanted", name);
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        struct json_object *number = json_object_array_get_idx(value, i);
        int64_t             byte   = json_object_get_int64(number);

        if (!json_object_is_type(number, json_type_int) || byte < 0 || byte > 255)
            return fail_with(err, ERR_MALFORMED, "\"%s\": member %zu is not a byte", name, i);
        buffer_append(out, (struct bytes){ (const uint8_t[]){ (uint8_t) byte }, 1 });
    }
    return true;
}

/* {"<outer>":{"<inner>":[1,2,...]}}: the one form that both Go and Rust read. */
static FALLIBLE answer_write(const char *outer, const char *inner, struct bytes value, struct secret *out,
                             struct err *err)
{
    AUTO(secret) struct secret built = { 0 };
    AUTO(secret) struct secret exact = { 0 };
    size_t                     most  = strlen(outer) + strlen(inner) + 4 * value.len + 16;
    size_t                     len   = 0;

    if (!secret_new(most, &built, err))
        return false;
    char *at = (char *) built.held;

    len += (size_t) snprintf(at, most, "{\"%s\":{\"%s\":[", outer, inner);
    for (size_t i = 0; i < value.len; i++)
        len += (size_t) snprintf(at + len, most - len, i > 0 ? ",%u" : "%u", (unsigned) value.at[i]);
    len += (size_t) snprintf(at + len, most - len, "]}}");
    if (!secret_copy((struct bytes){ built.held, len }, &exact, err))
        return false;
    *out = TAKE(exact);
    return true;
}

static FALLIBLE wrap(struct json_object *request, const struct keyprovider_keys *keys, struct secret *answer,
                     struct err *err)
{
    AUTO(parameters) struct parameters p       = { .keyid = NULL };
    AUTO(buffer) struct buffer         plain   = { 0 };
    AUTO(buffer) struct buffer         json    = { 0 };
    AUTO(secret) struct secret         kek     = { 0 };
    AUTO(secret) struct secret         options = { 0 };
    AUTO(packet) struct packet         packet  = { 0 };
    struct json_object                *wanted = NULL, *config = NULL;
    enum wrap_type                     wrap_type = WRAP_A256GCM;
    char                               kid[ENC_KID_MAX + 1];

    if (!json_get(request, "keywrapparams", json_type_object, &wanted, err) ||
        !json_get(wanted, "ec", json_type_object, &config, err) || !parameters_read(config, keys->keep != NULL, &p, err) ||
        !algorithm_get(&p, &wrap_type, err))
        return false;
    if (!key_for_wrapping(&p, keys, &kek, kid, err) || !blob_read(wanted, "optsdata", &plain, err) ||
        !secret_copy(buffer_bytes(&plain), &options, err) ||
        !kek_wrap(&kek, kid, wrap_type, &options, &packet, err))
        return false;
    packet_write(&packet, &json);
    return answer_write("keywrapresults", "annotation", buffer_bytes(&json), answer, err);
}

static FALLIBLE unwrap(struct json_object *request, const struct keyprovider_keys *keys, struct secret *answer,
                       struct err *err)
{
    AUTO(parameters) struct parameters p       = { .keyid = NULL };
    AUTO(buffer) struct buffer         json    = { 0 };
    AUTO(secret) struct secret         kek     = { 0 };
    AUTO(secret) struct secret         options = { 0 };
    AUTO(packet) struct packet         packet  = { 0 };
    struct json_object                *wanted = NULL, *config = NULL;

    if (!json_get(request, "keyunwrapparams", json_type_object, &wanted, err) ||
        !json_get(wanted, "dc", json_type_object, &config, err) || !parameters_read(config, keys->keep != NULL, &p, err) ||
        !blob_read(wanted, "annotation", &json, err) || !packet_read(buffer_bytes(&json), &packet, err))
        return false;
    if (p.keyid) {
        char kid[ENC_KID_MAX + 1];

        if (!kid_read(bytes_of_text(p.keyid), kid, err))
            return false;
        if (strcmp(kid, packet.kid) != 0)
            return fail_with(err, ERR_NOT_FOUND, "the layer's key is %s, not %s", packet.kid, kid);
    }
    return key_for_unwrapping(&p, keys, packet.kid, &kek, err) && kek_unwrap(&kek, &packet, &options, err) &&
           answer_write("keyunwrapresults", "optsdata", secret_expose(&options), answer, err);
}

FALLIBLE keyprovider_answer(struct bytes request, const struct keyprovider_keys *keys, struct secret *answer,
                            struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    const char                    *op       = NULL;

    if (!json_read(request, KEYPROVIDER_INPUT_MAX, &document, err) || !json_get_text(document, "op", &op, err))
        return context(err, "request");
    if (strcmp(op, "keywrap") == 0)
        return wrap(document, keys, answer, err) || context(err, "keywrap");
    if (strcmp(op, "keyunwrap") == 0)
        return unwrap(document, keys, answer, err) || context(err, "keyunwrap");
    return fail_with(err, ERR_UNSUPPORTED, "request: \"op\" is neither keywrap nor keyunwrap");
}
