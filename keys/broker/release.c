#include "keys/broker/release.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/rcar.h"
#include "keys/broker/reference_value.h"
#include "keys/jose/jcs.h"

enum { PREFIX_MAX = 400, REASON_MAX = 120, BINDING_ENTRIES_MAX = 256, FIELD_HEX_MAX = 128 };

static const char *const RULES[] = { "data.policy.allow", "data.policy.reason" };

/* ---- the built-in rule ---- */

static bool deny(const char *what, struct bytes value, const char *path, struct err *err)
{
    AUTO(buffer) struct buffer hex = { 0 };

    hex_append(&hex, value);
    return fail_with(err, ERR_DENIED, "%s %.16s... is not a registered reference value%s%.80s", what, buffer_text(&hex),
                     path ? " for " : "", path ? path : "");
}

/* In the table by path, or in the list that attestation policies read. */
static FALLIBLE measurement_is_registered(struct store *store, const struct release_subject *subject, const char *path,
                                          int64_t now, bool *out, struct err *err)
{
    AUTO(buffer) struct buffer hex  = { 0 };
    const char                *name = reference_measurement_name(subject->tee);

    if (!store_reference_holds(store, REFERENCE_MEASUREMENT, subject->tee, subject->measurement, path, now, out, err))
        return false;
    if (*out || !name)
        return true;
    hex_append(&hex, subject->measurement);
    return reference_value_holds(store, name, buffer_text(&hex), now, out, err);
}

FALLIBLE release_builtin(struct store *store, const struct release_subject *subject, const char *path, int64_t now,
                         struct err *err)
{
    bool measured = subject->is_affirmed, expected = false;

    if (!reference_measurement_name(subject->tee)) {
        if (!measured)
            return fail_with(err, ERR_DENIED, "the attestation policy does not affirm this guest's hardware and executables");
    } else {
        if (!measurement_is_registered(store, subject, path, now, &measured, err))
            return false;
        if (!measured)
            return deny("measurement", subject->measurement, path, err);
    }
    if (!store_reference_holds(store, REFERENCE_INITDATA, subject->tee, subject->initdata, path, now, &expected, err))
        return false;
    if (!expected)
        return deny("initdata digest", subject->initdata, path, err);
    return true;
}

/* ---- bindings ---- */

static FALLIBLE entries_check(struct json_object *binding, const char *name, bool are_hex, struct err *err)
{
    AUTO(buffer) struct buffer raw = { 0 };
    struct json_object        *list;

    if (!json_get(binding, name, json_type_array, &list, err))
        return false;
    if (json_object_array_length(list) == 0 || json_object_array_length(list) > BINDING_ENTRIES_MAX)
        return fail_with(err, ERR_MALFORMED, "%s: 1 to %d entries are wanted", name, BINDING_ENTRIES_MAX);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);

        if (!json_object_is_type(one, json_type_string) || json_object_get_string_len(one) == 0)
            return fail_with(err, ERR_MALFORMED, "%s: an entry is not a text", name);
        if (are_hex && (json_object_get_string_len(one) > FIELD_HEX_MAX ||
                        !hex_read(bytes_of_text(json_object_get_string(one)), &raw, err)))
            return fail_with(err, ERR_MALFORMED, "%s: an entry is not hex of at most %d digits", name, FIELD_HEX_MAX);
    }
    return true;
}

FALLIBLE release_binding_check(struct json_object *binding, struct err *err)
{
    int n = 0;

    if (!json_object_is_type(binding, json_type_object))
        return fail_with(err, ERR_MALFORMED, "a binding is an object");
    json_object_object_foreach(binding, name, value)
    {
        (void) value;
        if (strcmp(name, "initdata") != 0 && strcmp(name, "workload") != 0)
            return fail_with(err, ERR_MALFORMED, "a binding has \"initdata\" and \"workload\", not \"%.40s\"", name);
        if (!entries_check(binding, name, strcmp(name, "initdata") == 0, err))
            return false;
        n++;
    }
    return n > 0 || fail_with(err, ERR_MALFORMED, "a binding names \"initdata\", \"workload\" or both");
}

/* A register holds the digest extended once from zero. */
static bool is_in_register(const char *tee, struct bytes digest, struct bytes field)
{
    static const char *const WITH_TPM[] = { "az-snp-vtpm", "az-tdx-vtpm", "tpm" };
    uint8_t                  both[2 * SHA256_LEN] = { 0 }, extended[SHA256_LEN];
    bool                     has_tpm              = false;

    for (size_t i = 0; i < sizeof WITH_TPM / sizeof *WITH_TPM; i++)
        has_tpm = has_tpm || strcmp(WITH_TPM[i], tee) == 0;
    if (!has_tpm || digest.len != SHA256_LEN)
        return false;
    memcpy(both + SHA256_LEN, digest.at, SHA256_LEN);
    sha256_of(BYTES_OF(both), extended);
    return bytes_equal(BYTES_OF(extended), field);
}

/* An entry may be the digest as it was computed, of any length: the TEE's field holds it cut or padded, or extended. */
static bool digest_is_field(const char *tee, const char *hex, struct bytes field)
{
    AUTO(buffer) struct buffer raw = { 0 };
    struct err                 ignored; /* what is no hex is no match */

    if (!hex_read(bytes_of_text(hex), &raw, &ignored) || raw.len == 0)
        return false;
    if (is_in_register(tee, buffer_bytes(&raw), field))
        return true;
    if (raw.len < field.len)
        (void) buffer_grow(&raw, field.len - raw.len);
    return bytes_equal((struct bytes){ raw.at, field.len }, field);
}

static bool text_is_in(const char *text, struct json_object *list)
{
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);

        if (json_object_is_type(one, json_type_string) && strcmp(json_object_get_string(one), text) == 0)
            return true;
    }
    return false;
}

static bool binding_names(struct json_object *list, const struct release_subject *subject, bool is_initdata)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *entry = json_object_get_string(json_object_array_get_idx(list, i));

        if (is_initdata ? digest_is_field(subject->tee, entry, subject->initdata) : text_is_in(entry, subject->images))
            return true;
    }
    return false;
}

static FALLIBLE binding_holds(const struct release_request *r, struct err *err)
{
    AUTO(buffer) struct buffer     text    = { 0 };
    AUTO(json) struct json_object *binding = NULL;
    struct json_object            *list;
    int64_t                        version;

    if (!store_document_get(r->store, DOCUMENT_BINDING, r->path, r->now, &text, &version, err))
        return false;
    if (version == 0)
        return true;
    if (!json_read(buffer_bytes(&text), DOCUMENT_TEXT_MAX, &binding, err) || !release_binding_check(binding, err))
        return context(err, "binding");
    if (json_object_object_get_ex(binding, "initdata", &list) && !binding_names(list, r->subject, true))
        return fail_with(err, ERR_DENIED, "%.120s is bound to other initdata than this guest's", r->path);
    if (json_object_object_get_ex(binding, "workload", &list) && !binding_names(list, r->subject, false))
        return fail_with(err, ERR_DENIED, "%.120s is bound to another workload than this guest's", r->path);
    return true;
}

/* ---- policies that administrators set ---- */

bool release_policy_name_is_valid(const char *name)
{
    char   path[PREFIX_MAX + 8];
    size_t n_slashes = 0;

    if (strcmp(name, RELEASE_POLICY_ALL) == 0)
        return true;
    for (const char *at = name; *at; at++)
        n_slashes += *at == '/';
    if (n_slashes > 2 || strlen(name) > PREFIX_MAX)
        return false;
    (void) snprintf(path, sizeof path, "%s%s", name, n_slashes == 0 ? "/x/x" : n_slashes == 1 ? "/x" : ""); /* fits */
    return rcar_path_is_valid(bytes_of_text(path));
}

/* The text of the policy with the longest name that is the path, a start of it up to a slash, or "*". */
static FALLIBLE policy_find(const struct release_request *r, struct buffer *text, char version[static POLICY_VERSION_MAX],
                            struct err *err)
{
    char    name[PREFIX_MAX];
    int64_t number = 0;

    if (strlen(r->path) >= sizeof name)
        return fail_with(err, ERR_LIMIT, "a path of more than %d characters", PREFIX_MAX);
    (void) snprintf(name, sizeof name, "%s", r->path); /* fits: asked above */
    for (;;) {
        char *slash;

        if (!store_document_get(r->store, DOCUMENT_RESOURCE_POLICY, name, r->now, text, &number, err))
            return false;
        if (number > 0 || strcmp(name, RELEASE_POLICY_ALL) == 0)
            break;
        slash = strrchr(name, '/');
        if (slash)
            *slash = 0;
        else
            (void) snprintf(name, sizeof name, RELEASE_POLICY_ALL); /* fits */
    }
    if (number > 0)
        (void) snprintf(version, POLICY_VERSION_MAX, "%.64s#%lld", name, (long long) number); /* cut by design */
    else
        (void) snprintf(version, POLICY_VERSION_MAX, RELEASE_BUILTIN); /* fits */
    return true;
}

static FALLIBLE value_asked(void *owner, const char *name, struct buffer *json, struct err *err)
{
    const struct release_request *r = owner;

    return reference_value_find(r->store, name, NULL, (struct bytes){ 0 }, r->now, json, err);
}

static FALLIBLE registered_asked(void *owner, const char *kind, bool *out, struct err *err)
{
    const struct release_request *r = owner;

    *out = false;
    if (strcmp(kind, "measurement") == 0)
        return measurement_is_registered(r->store, r->subject, r->path, r->now, out, err);
    if (strcmp(kind, "initdata") == 0)
        return store_reference_holds(r->store, REFERENCE_INITDATA, r->subject->tee, r->subject->initdata, r->path, r->now,
                                     out, err);
    return fail_with(err, ERR_CONFIG, "reference_is_registered: the kind is neither \"measurement\" nor \"initdata\"");
}

/* [evidence-formats 7.4] */
static void data_write(const char *path, const char *query, struct buffer *out)
{
    buffer_append_text(out, "{\"plugin\":\"resource\",\"resource-path\":[\"");
    for (; *path; path++) {
        if (*path == '/')
            buffer_append_text(out, "\",\"");
        else
            buffer_append(out, (struct bytes){ (const uint8_t *) path, 1 }); /* of rcar_path_is_valid: nothing to escape */
    }
    buffer_printf(out, "\"],\"query\":%s}", query ? query : "{}");
}

static bool policy_denies(const struct release_request *r, const char *version, struct bytes reason, struct err *err)
{
    AUTO(json) struct json_object *text  = NULL;
    AUTO(buffer) struct buffer     shown = { 0 };
    struct err                     ignored; /* a reason that is no text is none */

    if (reason.len > 0 && json_read(reason, DOCUMENT_TEXT_MAX, &text, &ignored) && json_object_is_type(text, json_type_string))
        printable_append(&shown, bytes_of_text(json_object_get_string(text)), REASON_MAX);
    return fail_with(err, ERR_DENIED, "policy %.40s does not release %.80s to this guest%s%s", version, r->path,
                     shown.len ? ": " : "", buffer_text(&shown));
}

static FALLIBLE policy_allows(const struct release_request *r, struct bytes module, const char *version, struct err *err)
{
    AUTO(buffer) struct buffer allow   = { 0 }, reason = { 0 }, input = { 0 }, data = { 0 };
    struct policy_lookups      lookups = { value_asked, registered_asked, (void *) (uintptr_t) r }; /* only read again */
    struct buffer              answers[2] = { { 0 } };
    struct policy_question     question;
    bool                       is_answered;

    json_write(r->claims, &input);
    data_write(r->path, r->query, &data);
    question    = (struct policy_question){ .module = module, .rules = RULES, .n_rules = 2, .input = buffer_bytes(&input),
                                            .data = buffer_bytes(&data), .now = r->now, .lookups = &lookups };
    is_answered = policy_engine_ask(r->engine, &question, answers, err);
    allow       = answers[0];
    reason      = answers[1];
    if (!is_answered) {
        if (err->kind != ERR_OS)
            err->kind = ERR_CONFIG; /* whatever is wrong with a policy is its administrator's to mend */
        return contextf(err, "resource policy %.64s", version);
    }
    return bytes_equal(buffer_bytes(&allow), bytes_of_text("true")) || policy_denies(r, version, buffer_bytes(&reason), err);
}

FALLIBLE release_decide(const struct release_request *request, char policy[static POLICY_VERSION_MAX], struct err *err)
{
    AUTO(buffer) struct buffer module = { 0 };

    (void) snprintf(policy, POLICY_VERSION_MAX, "binding"); /* fits */
    if (!binding_holds(request, err) || !policy_find(request, &module, policy, err))
        return false;
    if (strcmp(policy, RELEASE_BUILTIN) == 0)
        return release_builtin(request->store, request->subject, request->path, request->now, err);
    return policy_allows(request, buffer_bytes(&module), policy, err);
}

FALLIBLE release_policy_check(struct policy_engine *engine, struct bytes text, struct err *err)
{
    struct policy_question question = { .module = text, .rules = RULES, .n_rules = 2 };

    return policy_engine_check(engine, &question, err);
}
