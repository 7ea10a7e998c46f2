#include "keys/api/rcar.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/jose/jcs.h"

FALLIBLE rcar_report_data(const char *additional, const char *nonce, const struct jwk *tee_key,
                          uint8_t out[static RCAR_DIGEST_LEN], struct err *err)
{
    AUTO(buffer) struct buffer text = { 0 };

    if (!is_utf8(bytes_of_text(additional)) || !is_utf8(bytes_of_text(nonce)))
        return fail_with(err, ERR_MALFORMED, "runtime data: not UTF-8");
    buffer_append_text(&text, "{\"additional-evidence\":");
    jcs_append_text(bytes_of_text(additional), &text);
    buffer_append_text(&text, ",\"nonce\":");
    jcs_append_text(bytes_of_text(nonce), &text);
    buffer_append_text(&text, ",\"tee-pubkey\":");
    buffer_append(&text, buffer_bytes(&tee_key->canonical));
    buffer_append_text(&text, "}");
    sha384_of(buffer_bytes(&text), out);
    return true;
}

void rcar_request_write(const char *tee, struct buffer *out)
{
    buffer_append_text(out, "{\"version\":\"" KBS_VERSION "\",\"tee\":");
    jcs_append_text(bytes_of_text(tee), out);
    buffer_append_text(out, ",\"extra-params\":{\"supported-hash-algorithms\":[\"sha384\"]}}");
}

void rcar_attestation_write(struct bytes initdata, const char *nonce, const struct jwk *tee_key, struct bytes evidence,
                            struct buffer *out)
{
    buffer_append_text(out, "{\"init-data\":");
    if (initdata.len > 0) {
        buffer_append_text(out, "{\"format\":\"toml\",\"body\":");
        jcs_append_text(initdata, out);
        buffer_append_text(out, "}");
    } else {
        buffer_append_text(out, "null");
    }
    buffer_append_text(out, ",\"runtime-data\":{\"nonce\":");
    jcs_append_text(bytes_of_text(nonce), out);
    buffer_append_text(out, ",\"tee-pubkey\":");
    buffer_append(out, buffer_bytes(&tee_key->canonical));
    buffer_append_text(out, "},\"tee-evidence\":{\"primary_evidence\":");
    buffer_append(out, evidence);
    buffer_append_text(out, ",\"additional_evidence\":\"\"}}");
}

void rcar_attestation_free(struct rcar_attestation *attestation)
{
    json_object_put(attestation->whole);
    jwk_free(&attestation->tee_key);
    *attestation = (struct rcar_attestation){ 0 };
}

static FALLIBLE initdata_member(struct json_object *whole, const char **out, struct err *err)
{
    struct json_object *initdata;
    const char         *format;

    if (!json_has(whole, "init-data"))
        return true;
    if (!json_get(whole, "init-data", json_type_object, &initdata, err) ||
        !json_get_text(initdata, "format", &format, err) || !json_get_text(initdata, "body", out, err))
        return false;
    if (strcmp(format, "toml") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "init-data: the format is not toml");
    return true;
}

static FALLIBLE runtime_member(struct json_object *whole, struct rcar_attestation *out, struct err *err)
{
    struct json_object *runtime, *key;

    if (!json_get(whole, "runtime-data", json_type_object, &runtime, err) ||
        !json_get_text(runtime, "nonce", &out->nonce, err) ||
        !json_get(runtime, "tee-pubkey", json_type_object, &key, err) || !jwk_read(key, &out->tee_key, err))
        return context(err, "runtime-data");
    if (strcmp(out->tee_key.alg, "ES256") == 0)
        return fail_with(err, ERR_UNSUPPORTED, "runtime-data: the TEE key is for signatures, not for encryption");
    if (strlen(out->nonce) > KBS_NONCE_MAX)
        return fail_with(err, ERR_LIMIT, "runtime-data: a nonce of more than %d characters", KBS_NONCE_MAX);
    return true;
}

static FALLIBLE evidence_member(struct json_object *whole, struct rcar_attestation *out, struct err *err)
{
    struct json_object *evidence;

    out->additional = "";
    if (!json_get(whole, "tee-evidence", json_type_object, &evidence, err))
        return false;
    if (!json_object_object_get_ex(evidence, "primary_evidence", &out->evidence) || !out->evidence)
        return fail_with(err, ERR_MALFORMED, "tee-evidence: no primary_evidence");
    if (!json_has(evidence, "additional_evidence"))
        return true;
    if (!json_get_text(evidence, "additional_evidence", &out->additional, err))
        return context(err, "tee-evidence");
    if (strlen(out->additional) > KBS_ADDITIONAL_MAX)
        return fail_with(err, ERR_LIMIT, "tee-evidence: more than %d bytes of additional evidence", KBS_ADDITIONAL_MAX);
    return true;
}

FALLIBLE rcar_attestation_read(struct bytes body, struct rcar_attestation *out, struct err *err)
{
    AUTO(rcar_attestation) struct rcar_attestation read = { 0 };

    if (!json_read_packed(body, KBS_BODY_MAX, &read.whole, err) || !initdata_member(read.whole, &read.initdata, err) ||
        !runtime_member(read.whole, &read, err) || !evidence_member(read.whole, &read, err))
        return context(err, "attestation");
    *out = TAKE(read);
    return true;
}

static bool is_path_character(uint8_t c, bool is_first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           (c == '.' && !is_first);
}

bool rcar_path_is_valid(struct bytes path)
{
    size_t n_parts = 1, len = 0;

    for (size_t i = 0; i < path.len; i++) {
        if (path.at[i] == '/') {
            if (len == 0)
                return false;
            n_parts++;
            len = 0;
        } else if (!is_path_character(path.at[i], len == 0) || ++len > KBS_PATH_SEGMENT_MAX) {
            return false;
        }
    }
    return n_parts == 3 && len > 0;
}

FALLIBLE rcar_path_of_uri(const char *uri, const char **path, struct err *err)
{
    const char *slash = strncmp(uri, "kbs://", 6) == 0 ? strchr(uri + 6, '/') : NULL;

    if (!slash || !rcar_path_is_valid(bytes_of_text(slash + 1)))
        return fail_with(err, ERR_MALFORMED, "not of the form kbs:///REPOSITORY/TYPE/TAG");
    *path = slash + 1;
    return true;
}
