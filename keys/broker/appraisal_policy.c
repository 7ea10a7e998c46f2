#include "keys/broker/appraisal_policy.h"

#include <string.h>

#include "keys/broker/reference_value.h"
#include "keys/broker/stock_policies.h"

enum { CLAIM_LEAST = -128, CLAIM_MOST = 127, EXTENSIONS_MAX = 16, EXTENSION_NAME_MAX = 64, RESULT_MAX = 1 << 20 };

/* [draft-ietf-rats-ar4si 2.3.4], in the order of their CBOR numbers */
static const char *const CLAIMS[] = { "instance-identity", "configuration", "executables", "file-system", "hardware",
                                      "runtime-opaque", "storage-opaque", "sourced-data" };
enum { N_CLAIMS = sizeof CLAIMS / sizeof *CLAIMS };

static const char *const RULES[] = { "data.policy.trust_claims", "data.policy.extensions" };

static const char *const TIERS[] = { "none", "affirming", "warning", "contraindicated" };

/* What stands beside the vector already, and what this broker reads back: no policy may put its own there. */
static const char *const RESERVED[] = { "ear.status", "ear.trustworthiness-vector", "ear.appraisal-policy-id",
                                        "ear.veraison.annotated-evidence", "ear.veraison.policy-claims" };

void appraisal_result_free(struct appraisal_result *result)
{
    json_object_put(result->vector);
    json_object_put(result->extensions);
    *result = (struct appraisal_result){ 0 };
}

/* [draft-ietf-rats-ar4si 2.3.2]: -1..1 none; 2..31 and -32..-2 affirming; 32..95 and -96..-33 warning; then the worst */
static size_t tier_of(int64_t claim)
{
    int64_t size = claim < 0 ? -claim - 1 : claim; /* -32 ranks with 31 */

    if (claim >= -1 && claim <= 1)
        return 0;
    return size < 32 ? 1 : size < 96 ? 2 : 3;
}

static bool is_claim(const char *name)
{
    for (size_t i = 0; i < N_CLAIMS; i++) {
        if (strcmp(CLAIMS[i], name) == 0)
            return true;
    }
    return false;
}

static FALLIBLE claims_check(struct json_object *claims, struct err *err)
{
    json_object_object_foreach(claims, name, value)
    {
        int64_t claim = json_object_get_int64(value);

        if (!is_claim(name))
            return fail_with(err, ERR_CONFIG, "trust_claims: \"%.40s\" is no claim of a trust vector", name);
        if (!json_object_is_type(value, json_type_int))
            return fail_with(err, ERR_CONFIG, "trust_claims: %s is not an integer", name);
        if (claim < CLAIM_LEAST || claim > CLAIM_MOST)
            return fail_with(err, ERR_CONFIG, "trust_claims: %s is not between %d and %d", name, CLAIM_LEAST, CLAIM_MOST);
    }
    return true;
}

static FALLIBLE vector_read(struct bytes text, struct appraisal_result *out, struct err *err)
{
    AUTO(json) struct json_object *claims = NULL;
    size_t                         worst  = 0;

    if (text.len == 0)
        return fail_with(err, ERR_CONFIG, "trust_claims is undefined");
    if (!json_read(text, RESULT_MAX, &claims, err))
        return context(err, "trust_claims");
    if (!json_object_is_type(claims, json_type_object))
        return fail_with(err, ERR_CONFIG, "trust_claims is not an object");
    if (!claims_check(claims, err))
        return false;
    out->vector = json_object_new_object();
    for (size_t i = 0; i < N_CLAIMS; i++) {
        struct json_object *claim = json_object_object_get(claims, CLAIMS[i]);
        size_t              tier  = tier_of(json_object_get_int64(claim));

        worst = tier > worst ? tier : worst;
        if (claim)
            json_add(out->vector, CLAIMS[i], json_object_get(claim));
    }
    out->status = TIERS[worst];
    return true;
}

static FALLIBLE extension_read(struct json_object *one, struct json_object *into, struct err *err)
{
    struct json_object *value;
    const char         *name;

    if (!json_get_text(one, "name", &name, err) || !json_object_object_get_ex(one, "value", &value))
        return fail_with(err, ERR_CONFIG, "extensions: each has a name, a key and a value");
    if (!json_object_is_type(json_object_object_get(one, "key"), json_type_int))
        return fail_with(err, ERR_CONFIG, "extensions: the key of \"%.40s\" is not an integer", name);
    if (name[0] == 0 || strlen(name) > EXTENSION_NAME_MAX || strncmp(name, "cloister.", 9) == 0 ||
        json_object_object_get_ex(into, name, NULL))
        return fail_with(err, ERR_CONFIG, "extensions: \"%.40s\" is reserved, there already, or too long", name);
    for (size_t i = 0; i < sizeof RESERVED / sizeof *RESERVED; i++) {
        if (strcmp(RESERVED[i], name) == 0)
            return fail_with(err, ERR_CONFIG, "extensions: \"%.40s\" is reserved, there already, or too long", name);
    }
    json_add(into, name, json_object_get(value));
    return true;
}

static FALLIBLE extensions_read(struct bytes text, struct appraisal_result *out, struct err *err)
{
    AUTO(json) struct json_object *list = NULL;

    out->extensions = json_object_new_object();
    if (text.len == 0)
        return true;
    if (!json_read(text, RESULT_MAX, &list, err))
        return context(err, "extensions");
    if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > EXTENSIONS_MAX)
        return fail_with(err, ERR_CONFIG, "extensions is not a list of at most %d", EXTENSIONS_MAX);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (!extension_read(json_object_array_get_idx(list, i), out->extensions, err))
            return false;
    }
    return true;
}

FALLIBLE appraisal_result_read(struct bytes trust_claims, struct bytes extensions, struct appraisal_result *out,
                               struct err *err)
{
    AUTO(appraisal_result) struct appraisal_result read = { 0 };

    if (!vector_read(trust_claims, &read, err) || !extensions_read(extensions, &read, err))
        return false;
    *out = TAKE(read);
    return true;
}

/* ---- the policy in force ---- */

enum { NAME_ROOM = POLICY_VERSION_MAX - 24 }; /* a version behind it fits */

static FALLIBLE name_write(const char *id, const char *tee_class, char out[static NAME_ROOM], struct err *err)
{
    return snprintf(out, NAME_ROOM, "%s_%s", id, tee_class) < NAME_ROOM || fail_with(err, ERR_LIMIT, "attestation policy: a name that is too long");
}

FALLIBLE appraisal_policy_is_stored(struct store *store, const char *id, const char *tee_class, int64_t now, bool *out, struct err *err)
{
    AUTO(buffer) struct buffer text   = { 0 };
    int64_t                    number = 0;
    char                       name[NAME_ROOM];
    struct err                 ignored; /* what could not be stored under such a name is not */

    *out = false;
    if (!name_write(id, tee_class, name, &ignored))
        return true;
    if (!store_document_get(store, DOCUMENT_ATTESTATION_POLICY, name, now, &text, &number, err))
        return false;
    *out = number > 0;
    return true;
}

static FALLIBLE policy_find(const struct appraisal_request *r, struct buffer *text, char version[static POLICY_VERSION_MAX],
                            struct err *err)
{
    char    name[NAME_ROOM];
    int64_t number;

    if (!name_write(r->id ? r->id : APPRAISAL_POLICY_ID, r->tee_class, name, err) ||
        !store_document_get(r->store, DOCUMENT_ATTESTATION_POLICY, name, r->now, text, &number, err))
        return false;
    if (number > 0) {
        (void) snprintf(version, POLICY_VERSION_MAX, "%s#%lld", name, (long long) number); /* 20 digits: fits */
        return true;
    }
    if (r->id || strcmp(r->tee_class, "cpu") != 0)
        return fail_with(err, ERR_CONFIG, "there is no attestation policy %s", name);
    (void) snprintf(version, POLICY_VERSION_MAX, "%s#builtin", name); /* fits */
    buffer_append_text(text, STOCK_ATTESTATION_CPU);
    return true;
}

static FALLIBLE value_asked(void *owner, const char *name, struct buffer *json, struct err *err)
{
    const struct appraisal_request *r = owner;

    return reference_value_find(r->store, name, r->tee, r->measurement, r->now, json, err);
}

static FALLIBLE registered_asked(void *owner, const char *kind, bool *out, struct err *err)
{
    (void) owner;
    *out = false;
    return fail_with(err, ERR_CONFIG, "reference_is_registered(\"%.40s\") is for resource policies: it needs a path", kind);
}

static void input_write(const struct appraisal_request *r, struct buffer *out)
{
    json_write(r->evidence, out);
    out->len--; /* the brace: one member more follows */
    buffer_printf(out, "%s\"endorsement\":{\"root\":\"%s\"}}", out->len > 1 ? "," : "", r->root);
}

FALLIBLE appraisal_policy_apply(const struct appraisal_request *request, struct appraisal_result *out, struct err *err)
{
    AUTO(buffer) struct buffer                     module  = { 0 }, input = { 0 };
    AUTO(buffer) struct buffer                     claims  = { 0 }, extensions = { 0 };
    AUTO(appraisal_result) struct appraisal_result result  = { 0 };
    struct policy_lookups                          lookups = { value_asked, registered_asked,
                                                               (void *) (uintptr_t) request }; /* only read again */
    struct buffer   answers[2] = { { 0 } };
    char            version[POLICY_VERSION_MAX];
    struct policy_question question;
    bool            is_answered;

    if (!policy_find(request, &module, version, err))
        return false;
    input_write(request, &input);
    question = (struct policy_question){ .module = buffer_bytes(&module), .rules = RULES, .n_rules = 2,
                                         .input = buffer_bytes(&input), .data = bytes_of_text("{}"), .now = request->now,
                                         .lookups = &lookups };
    is_answered = policy_engine_ask(request->engine, &question, answers, err);
    claims      = answers[0];
    extensions  = answers[1];
    if (!is_answered || !appraisal_result_read(buffer_bytes(&claims), buffer_bytes(&extensions), &result, err)) {
        if (err->kind != ERR_OS)
            err->kind = ERR_CONFIG; /* whatever is wrong with a policy is its administrator's to mend */
        return contextf(err, "attestation policy %s", version);
    }
    memcpy(result.policy, version, sizeof version);
    *out = TAKE(result);
    return true;
}

FALLIBLE appraisal_policy_check(struct policy_engine *engine, struct bytes text, struct err *err)
{
    struct policy_question question = { .module = text, .rules = RULES, .n_rules = 2 };

    return policy_engine_check(engine, &question, err);
}
