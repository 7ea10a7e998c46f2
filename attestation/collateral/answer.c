#include "attestation/collateral/answer.h"

#include <string.h>

#include "base/text.h"

void answer_free(struct answer *answer)
{
    buffer_free(&answer->url);
    buffer_free(&answer->body);
    buffer_free(&answer->issuer_chain);
}

void answer_copy(const struct answer *from, struct answer *to)
{
    buffer_append(&to->url, buffer_bytes(&from->url));
    buffer_append(&to->body, buffer_bytes(&from->body));
    buffer_append(&to->issuer_chain, buffer_bytes(&from->issuer_chain));
    to->fetched_at = from->fetched_at;
    to->expires_at = from->expires_at;
}

static void add_base64(struct json_object *to, const char *name, const struct buffer *from)
{
    AUTO(buffer) struct buffer text = { 0 };

    base64_append(&text, buffer_bytes(from), BASE64_STANDARD);
    json_add_text(to, name, buffer_text(&text));
}

struct json_object *answer_to_json(const struct answer *answer)
{
    struct json_object        *to  = json_object_new_object();
    AUTO(buffer) struct buffer url = { 0 };

    buffer_append(&url, buffer_bytes(&answer->url));
    json_add_text(to, "url", buffer_text(&url));
    json_add(to, "fetched", json_object_new_int64(answer->fetched_at));
    json_add(to, "expires", json_object_new_int64(answer->expires_at));
    add_base64(to, "issuer_chain", &answer->issuer_chain);
    add_base64(to, "body", &answer->body);
    return to;
}

static FALLIBLE get_base64(struct json_object *from, const char *name, size_t len_max, struct buffer *out, struct err *err)
{
    const char *text = NULL;

    if (!json_get_text(from, name, &text, err))
        return false;
    if (!base64_read(bytes_of_text(text), BASE64_STANDARD, out, err))
        return context(err, name);
    return out->len <= len_max || fail_with(err, ERR_LIMIT, "%s: %zu bytes; at most %zu are allowed", name, out->len, len_max);
}

FALLIBLE answer_from_json(struct json_object *from, struct answer *out, struct err *err)
{
    AUTO(answer) struct answer a       = { 0 };
    const char                *url     = NULL;
    uint64_t                   fetched = 0, expires = 0;

    if (!json_get_text(from, "url", &url, err) || !json_get_u64(from, "fetched", INT64_MAX, &fetched, err) ||
        !json_get_u64(from, "expires", INT64_MAX, &expires, err) ||
        !get_base64(from, "issuer_chain", ANSWER_HEADER_LEN_MAX, &a.issuer_chain, err) ||
        !get_base64(from, "body", ANSWER_BODY_LEN_MAX, &a.body, err))
        return context(err, "collateral answer");
    if (strlen(url) > ANSWER_URL_LEN_MAX)
        return fail_with(err, ERR_LIMIT, "collateral answer: url is over %d bytes", ANSWER_URL_LEN_MAX);
    buffer_append_text(&a.url, url);
    a.fetched_at = (int64_t) fetched;
    a.expires_at = (int64_t) expires;
    *out         = TAKE(a);
    return true;
}
