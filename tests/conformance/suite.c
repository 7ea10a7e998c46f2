#include "tests/conformance/suite.h"

#include <string.h>

#include "base/text.h"
#include "keys/api/limits.h"
#include "keys/api/rcar.h"
#include "tests/conformance/transcript.h"

FALLIBLE suite_exchange(struct suite *s, const struct http_request *r, struct err *err)
{
    if (!http_exchange(s->http, r, KBS_COOKIE, &s->answer, err))
        return false;
    if (s->transcript)
        transcript_write(s->transcript, r, &s->answer);
    return true;
}

FALLIBLE suite_ask(struct suite *s, const char *method, const char *path, const char *cookie, const char *body,
                    struct err *err)
{
    struct http_request r = { .method = method, .path = path, .cookie = cookie, .content_type = "application/json",
                              .body = bytes_of_text(body) };

    return suite_exchange(s, &r, err);
}

FALLIBLE wants_status(struct suite *s, long status, struct err *err)
{
    AUTO(buffer) struct buffer shown = { 0 };

    if (s->answer.status == status)
        return true;
    printable_append(&shown, buffer_bytes(&s->answer.body), 120);
    return fail_with(err, ERR_MALFORMED, "status %ld, wanted %ld: %s", s->answer.status, status, buffer_text(&shown));
}

FALLIBLE wants_type(struct suite *s, const char *type, struct err *err)
{
    return strcmp(s->answer.content_type, type) == 0 ||
           fail_with(err, ERR_MALFORMED, "Content-Type \"%s\", wanted \"%s\"", s->answer.content_type, type);
}

/* [KBS 10]: {"type":"…/errors/<Variant>","detail":"…"}, without a Content-Type */
FALLIBLE wants_error(struct suite *s, long status, const char *variant, const char *part, struct err *err)
{
    AUTO(json) struct json_object *document = NULL;
    const char                    *type, *detail;

    if (!wants_status(s, status, err) || !wants_type(s, "", err) ||
        !json_read(buffer_bytes(&s->answer.body), KBS_ERROR_BODY_MAX, &document, err) ||
        !json_get_text(document, "type", &type, err) || !json_get_text(document, "detail", &detail, err))
        return context(err, "error document");
    if (strncmp(type, KBS_ERROR_TYPE, strlen(KBS_ERROR_TYPE)) != 0)
        return fail_with(err, ERR_MALFORMED, "error type \"%.80s\"", type);
    if (variant && strcmp(type + strlen(KBS_ERROR_TYPE), variant) != 0)
        return fail_with(err, ERR_MALFORMED, "error variant %.40s, wanted %s", type + strlen(KBS_ERROR_TYPE), variant);
    if (part && !strstr(detail, part))
        return fail_with(err, ERR_MALFORMED, "detail \"%.120s\" lacks \"%s\"", detail, part);
    return true;
}

FALLIBLE suite_challenge(struct suite *s, struct err *err)
{
    AUTO(json) struct json_object *challenge = NULL;
    AUTO(buffer) struct buffer     raw       = { 0 };
    const char                    *nonce;

    if (!suite_ask(s, "POST", KBS_PREFIX "/auth", NULL, "{\"version\":\"0.4.0\",\"tee\":\"sample\",\"extra-params\":{}}", err) ||
        !wants_status(s, 200, err) || !wants_type(s, "application/json", err) ||
        !json_read(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, &challenge, err) || !json_get_text(challenge, "nonce", &nonce, err))
        return false;
    if (!base64_read(bytes_of_text(nonce), BASE64_STANDARD, &raw, err) || raw.len != 32)
        return fail_with(err, ERR_MALFORMED, "the nonce is not standard base64 of 32 bytes");
    if (!json_object_object_get_ex(challenge, "extra-params", NULL))
        return fail_with(err, ERR_MALFORMED, "no extra-params");
    (void) snprintf(s->nonce, sizeof s->nonce, "%s", nonce); /* 44 characters: fits */
    (void) snprintf(s->cookie, sizeof s->cookie, "%s", s->answer.cookie); /* same size */
    (void) snprintf(s->attributes, sizeof s->attributes, "%s", s->answer.cookie_attributes); /* same size */
    return true;
}

FALLIBLE suite_attest(struct suite *s, const char *nonce, bool spoils_report_data, struct err *err)
{
    AUTO(buffer) struct buffer evidence = { 0 };
    AUTO(buffer) struct buffer body     = { 0 };
    uint8_t                    digest[RCAR_DIGEST_LEN];

    if (!rcar_report_data("", nonce, &s->jwk, digest, err))
        return false;
    digest[0] ^= spoils_report_data;
    buffer_append_text(&evidence, "{\"svn\":\"1\",\"report_data\":\"");
    base64_append(&evidence, BYTES_OF(digest), BASE64_STANDARD);
    buffer_append_text(&evidence, "\"}");
    rcar_attestation_write((struct bytes){ 0 }, nonce, &s->jwk, buffer_bytes(&evidence), &body);
    return suite_ask(s, "POST", KBS_PREFIX "/attest", s->cookie, buffer_text(&body), err);
}

FALLIBLE suite_token(struct suite *s, struct json_object **body, const char **token, struct err *err)
{
    return wants_status(s, 200, err) && json_read(buffer_bytes(&s->answer.body), KBS_ANSWER_MAX, body, err) &&
           json_get_text(*body, "token", token, err);
}
