#include "keys/broker/ear.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/jose/jwt.h"

enum { LEEWAY_S = 60 };

/* AR4SI values that we give. [draft-ietf-rats-ar4si 2.3] */
enum {
    EXECUTABLES_APPROVED     = 3,
    EXECUTABLES_UNRECOGNIZED = 33,
    HARDWARE_GENUINE         = 2,
    HARDWARE_UNSAFE          = 32, /* a simulated platform: anyone with its folder can sign */
    HARDWARE_UNRECOGNIZED    = 97,
    CONFIGURATION_SAFE       = 3   /* no debugging, no migration */
};

static const char *tier(int worst) { return worst >= 96 ? "contraindicated" : worst >= 32 ? "warning" : "affirming"; }

static const struct { const char *name; int hardware; } ENDORSERS[] = {
    [ENDORSED_BY_VENDOR]           = { "vendor", HARDWARE_GENUINE },
    [ENDORSED_BY_DEVELOPMENT_ROOT] = { "development", HARDWARE_UNSAFE },
    [ENDORSED_BY_NOBODY]           = { "nobody", HARDWARE_UNRECOGNIZED },
};

static struct json_object *vector_of(const struct facts *facts, bool is_approved, const char **status)
{
    const struct { const char *name; int value; } rows[] = {
        { "instance-identity", 0 },
        { "configuration", CONFIGURATION_SAFE },
        { "executables", is_approved ? EXECUTABLES_APPROVED : EXECUTABLES_UNRECOGNIZED },
        { "file-system", 0 },
        { "hardware", ENDORSERS[facts->endorser].hardware },
        { "runtime-opaque", 0 },
        { "storage-opaque", 0 },
        { "sourced-data", 0 },
    };
    struct json_object *vector = json_object_new_object();
    int                 worst  = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_add(vector, rows[i].name, json_object_new_int(rows[i].value));
        worst = rows[i].value > worst ? rows[i].value : worst;
    }
    *status = tier(worst);
    return vector;
}

static FALLIBLE annotated_evidence(const struct facts *facts, const struct rcar_attestation *attestation,
                                   struct json_object **out, struct err *err)
{
    AUTO(json) struct json_object *key      = NULL;
    struct json_object            *evidence = json_object_new_object();
    struct json_object            *runtime  = json_object_new_object();

    json_add_hex(evidence, "init_data", (struct bytes){ facts->initdata, facts->initdata_len });
    json_add(evidence, "init_data_claims", json_object_get(facts->initdata_claims));
    json_add_text(evidence, "report_data", facts->report_data);
    json_add_text(runtime, "additional-evidence", attestation->additional);
    json_add_text(runtime, "nonce", attestation->nonce);
    json_add(evidence, "runtime_data_claims", runtime);
    json_add(evidence, tee_name(facts->tee), json_object_get(facts->claims));
    *out = evidence;
    if (!json_read(buffer_bytes(&attestation->tee_key.canonical), JWK_TEXT_MAX, &key, err))
        return false;
    json_add(runtime, "tee-pubkey", TAKE(key));
    return true;
}

static FALLIBLE cpu_submod(const struct ear_content *content, struct json_object **out, struct err *err)
{
    const struct facts            *facts    = content->facts;
    const char                    *reason   = content->reason;
    AUTO(json) struct json_object *evidence = NULL;
    struct json_object            *cpu      = json_object_new_object();
    struct json_object            *vector;
    struct json_object            *identifiers = json_object_new_object();
    const char                    *status;

    *out   = cpu;
    vector = vector_of(facts, !reason, &status);
    json_add_text(cpu, "ear.status", status);
    json_add(cpu, "ear.trustworthiness-vector", vector);
    json_add_text(cpu, "ear.appraisal-policy-id", "default");
    json_add(identifiers, "validated", json_object_new_object());
    json_add(cpu, "ear.trustee.identifiers", identifiers);
    json_add_text(cpu, "cloister.tee", tee_name(facts->tee));
    json_add_text(cpu, "cloister.root", ENDORSERS[facts->endorser].name);
    if (reason)
        json_add_text(cpu, "cloister.reason", reason);
    json_add_hex(cpu, "cloister.evidence", BYTES_OF(content->evidence));
    if (!annotated_evidence(facts, content->attestation, &evidence, err))
        return false;
    json_add(cpu, "ear.veraison.annotated-evidence", TAKE(evidence));
    return true;
}

/* The public key with its certificate, without the braces: alg, x5c, crv, kty, x, y. */
static FALLIBLE append_key_members(const struct ear_issuer *issuer, struct buffer *out, struct err *err)
{
    buffer_append_text(out, "\"alg\":\"ES256\",\"x5c\":[\"");
    base64_append(out, issuer->certificate, BASE64_STANDARD);
    buffer_append_text(out, "\"],");
    return jwk_append_point(issuer->key, out, err);
}

FALLIBLE ear_write(const struct ear_issuer *issuer, const struct ear_content *content, struct buffer *token,
                   struct err *err)
{
    AUTO(json) struct json_object *payload = json_object_new_object();
    AUTO(json) struct json_object *cpu     = NULL;
    AUTO(buffer) struct buffer     header  = { 0 };
    AUTO(buffer) struct buffer     text    = { 0 };
    struct json_object            *verifier = json_object_new_object();
    struct json_object            *submods  = json_object_new_object();

    json_add_text(payload, "eat_profile", "tag:github.com,2024:confidential-containers/Trustee");
    json_add(payload, "iat", json_object_new_int64(content->now));
    json_add_text(verifier, "developer", "https://confidentialcontainers.org");
    json_add_text(verifier, "build", "cloister-broker 0.1.0");
    json_add(payload, "ear.verifier-id", verifier);
    json_add(payload, "submods", submods);
    if (!cpu_submod(content, &cpu, err))
        return false;
    json_add(submods, "cpu0", TAKE(cpu));
    json_add(payload, "exp", json_object_new_int64(content->expires));
    json_add_text(payload, "iss", issuer->name);

    json_write(payload, &text);
    buffer_append_text(&header, ",\"jwk\":{");
    if (!append_key_members(issuer, &header, err))
        return false;
    buffer_append_text(&header, "}");
    return jwt_sign(buffer_text(&header), buffer_bytes(&text), issuer->key, token, err);
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
    *ear = (struct ear){ 0 };
}

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

static FALLIBLE claims_read(struct json_object *payload, struct ear *out, struct err *err)
{
    struct json_object *submods, *cpu, *evidence, *runtime, *key, *claims;
    const char         *tee;
    size_t              measurement_len, initdata_len, evidence_len;

    if (!json_get(payload, "submods", json_type_object, &submods, err) ||
        !json_get(submods, "cpu0", json_type_object, &cpu, err) || !json_get_text(cpu, "cloister.tee", &tee, err) ||
        !hex_member(cpu, "cloister.evidence", out->evidence, sizeof out->evidence, &evidence_len, err) ||
        !json_get(cpu, "ear.veraison.annotated-evidence", json_type_object, &evidence, err) ||
        !json_get(evidence, "runtime_data_claims", json_type_object, &runtime, err) ||
        !json_get(runtime, "tee-pubkey", json_type_object, &key, err) ||
        !json_get(evidence, tee, json_type_object, &claims, err) || !jwk_read(key, &out->tee_key, err) ||
        !hex_member(claims, "measurement", out->measurement, sizeof out->measurement, &measurement_len, err) ||
        !hex_member(evidence, "init_data", out->initdata, sizeof out->initdata, &initdata_len, err))
        return context(err, "token");
    if (strlen(tee) >= sizeof out->tee)
        return fail_with(err, ERR_MALFORMED, "token: a TEE name that is too long");
    (void) snprintf(out->tee, sizeof out->tee, "%s", tee); /* fits: asked above */
    out->subject = (struct release_subject){ .tee         = out->tee,
                                             .measurement = { out->measurement, measurement_len },
                                             .initdata    = { out->initdata, initdata_len } };
    return true;
}

FALLIBLE ear_read(const struct ear_issuer *issuer, struct bytes token, int64_t now, struct ear *out, struct err *err)
{
    AUTO(json) struct json_object *payload = NULL;

    if (!jwt_verify(token, KBS_TOKEN_MAX, issuer->key, &payload, err) ||
        !jwt_check_times(payload, (uint64_t) now, LEEWAY_S, err))
        return false;
    if (claims_read(payload, out, err))
        return true;
    ear_free(out);
    return false;
}
