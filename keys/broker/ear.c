#include "keys/broker/ear.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/jose/jwt.h"

enum { LEEWAY_S = 60, AFFIRMING_LEAST = 2, WARNING_LEAST = 32, CONTRAINDICATED_LEAST = 96 }; /* [ar4si 2.3.2] */

static FALLIBLE hex_member(struct json_object *from, const char *name, uint8_t *out, size_t most, size_t *len,
                           struct err *err)
{
    const char *text;

    if (!json_get_text(from, name, &text, err))
        return false;
    *len = strlen(text) / 2;
    if (*len > most || !hex_read_exact(text, out, *len, err))
        return fail_with(err, ERR_MALFORMED, "\"%s\" is not hex of at most %zu bytes", name, most);
    return true;
}

/* Of TEE sample in base64, as its report data; else in hex. [evidence-formats 1] */
static void initdata_add(struct json_object *evidence, const struct facts *facts)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct bytes               field = { facts->initdata, facts->initdata_len };

    if (facts->tee == TEE_SAMPLE)
        base64_append(&text, field, BASE64_STANDARD);
    else
        hex_append(&text, field);
    json_add_text(evidence, "init_data", buffer_text(&text));
}

static FALLIBLE initdata_member(struct json_object *evidence, const char *tee, struct ear *out, size_t *len, struct err *err)
{
    AUTO(buffer) struct buffer raw = { 0 };
    const char                *text;

    if (strcmp(tee, tee_name(TEE_SAMPLE)) != 0)
        return hex_member(evidence, "init_data", out->initdata, sizeof out->initdata, len, err);
    if (!json_get_text(evidence, "init_data", &text, err) || !base64_read(bytes_of_text(text), BASE64_STANDARD, &raw, err))
        return false;
    if (raw.len > sizeof out->initdata)
        return fail_with(err, ERR_MALFORMED, "\"init_data\" of %zu bytes", raw.len);
    if (raw.len > 0)
        memcpy(out->initdata, raw.at, raw.len);
    *len = raw.len;
    return true;
}

FALLIBLE ear_evidence(const struct facts *facts, const struct rcar_attestation *attestation, struct json_object **out,
                      struct err *err)
{
    AUTO(json) struct json_object *key      = NULL;
    AUTO(json) struct json_object *evidence = json_object_new_object();
    struct json_object            *runtime  = json_object_new_object();

    initdata_add(evidence, facts);
    json_add(evidence, "init_data_claims", json_object_get(facts->initdata_claims));
    json_add_text(evidence, "report_data", facts->report_data);
    json_add_text(runtime, "additional-evidence", attestation->additional);
    json_add_text(runtime, "nonce", attestation->nonce);
    json_add(evidence, "runtime_data_claims", runtime);
    json_add(evidence, tee_name(facts->tee), json_object_get(facts->claims));
    if (!json_read(buffer_bytes(&attestation->tee_key.canonical), JWK_TEXT_MAX, &key, err))
        return false;
    json_add(runtime, "tee-pubkey", TAKE(key));
    *out = TAKE(evidence);
    return true;
}

static void cpu_submod(const struct ear_content *content, struct json_object *cpu)
{
    const struct facts *facts = content->facts;

    json_add_text(cpu, "ear.status", content->result->status);
    json_add(cpu, "ear.trustworthiness-vector", json_object_get(content->result->vector));
    json_add_text(cpu, "ear.appraisal-policy-id", APPRAISAL_POLICY_ID);
    json_object_object_foreach(content->result->extensions, name, value)
        json_add(cpu, name, json_object_get(value));
    json_add_text(cpu, "cloister.tee", tee_name(facts->tee));
    json_add_text(cpu, "cloister.root", endorser_name(facts->endorser));
    json_add_text(cpu, "cloister.policy", content->result->policy);
    json_add_hex(cpu, "cloister.measurement", (struct bytes){ facts->measurement, facts->measurement_len });
    if (content->reason)
        json_add_text(cpu, "cloister.reason", content->reason);
    json_add_hex(cpu, "cloister.evidence", BYTES_OF(content->evidence));
    json_add(cpu, "ear.veraison.annotated-evidence", json_object_get(content->annotated));
}

/* The public key with its certificate, without the braces: alg, x5c, crv, kty, x, y. */
static FALLIBLE append_key_members(const struct ear_issuer *issuer, struct buffer *out, struct err *err)
{
    buffer_append_text(out, "\"alg\":\"ES256\",\"x5c\":[\"");
    base64_append(out, issuer->certificate, BASE64_STANDARD);
    buffer_append_text(out, "\"],");
    return jwk_append_point(issuer->key, out, err);
}

FALLIBLE ear_write_jwks(const struct ear_issuer *issuer, struct buffer *out, struct err *err)
{
    buffer_append_text(out, "{\"keys\":[{");
    if (!append_key_members(issuer, out, err))
        return false;
    buffer_append_text(out, "}]}");
    return true;
}

void ear_free(struct ear *ear)
{
    jwk_free(&ear->tee_key);
    json_object_put(ear->claims);
    *ear = (struct ear){ 0 };
}

static void key_share(const struct jwk *from, struct jwk *out)
{
    *out = *from;
    if (EVP_PKEY_up_ref(out->key) != 1)
        abort();
    out->canonical = (struct buffer){ 0 };
    buffer_append(&out->canonical, buffer_bytes(&from->canonical));
}

void ear_copy(const struct ear *from, struct ear *out)
{
    struct ear copy = *from;

    key_share(&from->tee_key, &copy.tee_key);
    copy.claims = json_object_get(from->claims);
    *out                        = TAKE(copy);
    out->subject.tee            = out->tee;
    out->subject.measurement.at = out->measurement;
    out->subject.initdata.at    = out->initdata;
}

/* The number of one claim; 0 when the token makes none. */
static int64_t claim_of(struct json_object *cpu, const char *name)
{
    struct json_object *vector = json_object_object_get(cpu, "ear.trustworthiness-vector");

    return json_object_is_type(vector, json_type_object) ? json_object_get_int64(json_object_object_get(vector, name)) : 0;
}

static bool is_affirmed(struct json_object *cpu)
{
    int64_t executables = claim_of(cpu, "executables"), hardware = claim_of(cpu, "hardware");

    return executables >= AFFIRMING_LEAST && executables < WARNING_LEAST && hardware >= AFFIRMING_LEAST && hardware < CONTRAINDICATED_LEAST;
}

static struct json_object *images_of(struct json_object *cpu)
{
    static const char *const PATH[] = { "ear.trustee.identifiers", "validated", "container_images" };

    for (size_t i = 0; i < sizeof PATH / sizeof *PATH; i++)
        cpu = json_object_is_type(cpu, json_type_object) ? json_object_object_get(cpu, PATH[i]) : NULL;
    return json_object_is_type(cpu, json_type_array) ? cpu : NULL;
}

/* `known` is the key that stands in the payload, when it was read before. */
static FALLIBLE claims_read(struct json_object *payload, const struct jwk *known, struct ear *out, struct err *err)
{
    struct json_object *submods, *cpu, *evidence, *runtime, *key;
    const char         *tee;
    size_t              measurement_len = 0, initdata_len = 0, evidence_len = 0;

    if (!json_get(payload, "submods", json_type_object, &submods, err) ||
        !json_get(submods, "cpu0", json_type_object, &cpu, err) || !json_get_text(cpu, "cloister.tee", &tee, err) ||
        !hex_member(cpu, "cloister.evidence", out->evidence, sizeof out->evidence, &evidence_len, err) ||
        !hex_member(cpu, "cloister.measurement", out->measurement, sizeof out->measurement, &measurement_len, err) ||
        !json_get(cpu, "ear.veraison.annotated-evidence", json_type_object, &evidence, err) ||
        !json_get(evidence, "runtime_data_claims", json_type_object, &runtime, err) ||
        !json_get(runtime, "tee-pubkey", json_type_object, &key, err) || (!known && !jwk_read(key, &out->tee_key, err)) ||
        !initdata_member(evidence, tee, out, &initdata_len, err))
        return context(err, "token");
    if (strlen(tee) >= sizeof out->tee)
        return fail_with(err, ERR_MALFORMED, "token: a TEE name that is too long");
    if (known)
        key_share(known, &out->tee_key);
    (void) snprintf(out->tee, sizeof out->tee, "%s", tee); /* fits: asked above */

    out->subject = (struct release_subject){ .tee         = out->tee,
                                             .measurement = { out->measurement, measurement_len },
                                             .initdata    = { out->initdata, initdata_len },
                                             .images      = images_of(cpu),
                                             .is_affirmed = is_affirmed(cpu) };
    return true;
}

/* A copy of one level: its members are shared. */
static struct json_object *level_copied(struct json_object *from)
{
    struct json_object *to = json_object_new_object();

    json_object_object_foreach(from, name, value)
        json_add(to, name, json_object_get(value));
    return to;
}

void ear_reappraise(struct ear *ear, const struct appraisal_result *result, const char *policy_id)
{
    struct json_object *payload = level_copied(ear->claims);
    struct json_object *submods = level_copied(json_object_object_get(payload, "submods")); /* claims_read found both */
    struct json_object *cpu     = level_copied(json_object_object_get(submods, "cpu0"));

    json_add_text(cpu, "ear.status", result->status);
    json_add(cpu, "ear.trustworthiness-vector", json_object_get(result->vector));
    json_add_text(cpu, "ear.appraisal-policy-id", policy_id);
    json_add_text(cpu, "cloister.policy", result->policy);
    json_object_object_foreach(result->extensions, name, value)
        json_add(cpu, name, json_object_get(value));
    json_add(submods, "cpu0", cpu);
    json_add(payload, "submods", submods);
    json_object_put(ear->claims);
    ear->claims              = payload;
    ear->subject.images      = images_of(cpu);
    ear->subject.is_affirmed = is_affirmed(cpu);
}

static FALLIBLE signature_check(const struct ear_issuer *issuer, struct bytes token, const uint8_t digest[static SHA256_LEN],
                                struct json_object **claims, struct err *err)
{
    if (token_memory_holds(issuer->memory, digest))
        return jwt_peek(token, KBS_TOKEN_MAX, claims, err);
    if (!jwt_verify(token, KBS_TOKEN_MAX, issuer->key, claims, err))
        return false;
    token_memory_add(issuer->memory, digest);
    return true;
}

FALLIBLE ear_read(const struct ear_issuer *issuer, struct bytes token, int64_t now, struct ear *out, struct err *err)
{
    uint8_t digest[SHA256_LEN];
    bool    is_known;

    sha256_of(token, digest);
    is_known = ear_memory_find(issuer->ears, digest, out);
    if (!is_known && !signature_check(issuer, token, digest, &out->claims, err))
        return false;
    if (!jwt_check_times(out->claims, (uint64_t) now, LEEWAY_S, err) || (!is_known && !claims_read(out->claims, NULL, out, err))) {
        ear_free(out);
        return false;
    }
    if (!is_known)
        ear_memory_add(issuer->ears, digest, token.len, out);
    return true;
}

/* ---- writing ---- */

/* What cannot be read back here is not kept: it is read, and refused, when it is shown. */
static void token_keep(const struct ear_issuer *issuer, struct bytes token, struct json_object *payload, const struct jwk *tee_key)
{
    AUTO(ear) struct ear ear = { .claims = json_object_get(payload) };
    uint8_t              digest[SHA256_LEN];
    struct err           ignored;

    sha256_of(token, digest);
    token_memory_add(issuer->memory, digest);
    if (issuer->ears && claims_read(payload, tee_key, &ear, &ignored))
        ear_memory_add(issuer->ears, digest, token.len, &ear);
}

FALLIBLE ear_write(const struct ear_issuer *issuer, const struct ear_content *content, struct buffer *token,
                   struct err *err)
{
    AUTO(json) struct json_object *payload = json_object_new_object();
    AUTO(buffer) struct buffer     header  = { 0 };
    AUTO(buffer) struct buffer     text    = { 0 };
    struct json_object            *verifier = json_object_new_object();
    struct json_object            *submods  = json_object_new_object();
    struct json_object            *cpu      = json_object_new_object();

    json_add_text(payload, "eat_profile", "tag:github.com,2024:confidential-containers/Trustee");
    json_add(payload, "iat", json_object_new_int64(content->now));
    json_add_text(verifier, "developer", "https://confidentialcontainers.org");
    json_add_text(verifier, "build", "cloister-broker 0.1.0");
    json_add(payload, "ear.verifier-id", verifier);
    json_add(payload, "submods", submods);
    cpu_submod(content, cpu);
    json_add(submods, "cpu0", cpu);
    json_add(payload, "exp", json_object_new_int64(content->expires));
    json_add_text(payload, "iss", issuer->name);

    json_write(payload, &text);
    buffer_append_text(&header, ",\"jwk\":{");
    if (!append_key_members(issuer, &header, err))
        return false;
    buffer_append_text(&header, "}");
    if (!jwt_sign(buffer_text(&header), buffer_bytes(&text), issuer->key, token, err))
        return false;
    token_keep(issuer, buffer_bytes(token), payload, content->tee_key);
    return true;
}
