#include "keys/external/vault_answer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/text.h"

enum { LEASE_S_MAX = 10 * 365 * 86400 };

/* ---- finding a text without reading it ---- */

/* Steps over one JSON string, `r` standing behind its opening quote; the view is without the quotes. */
static struct bytes string_span(struct reader *r)
{
    struct bytes from = r->left;

    for (uint8_t c = 1; c != '"' && !r->failed;) {
        c = take_u8(r);
        if (c == '\\')
            (void) take_u8(r); /* whatever is escaped does not end the string */
    }
    return (struct bytes){ from.at, r->failed ? 0 : from.len - r->left.len - 1 };
}

/*
 * Where the text at `path` stands, one name per object, quotes excluded. Only finds it: whether the document is sound is
 * judged by the JSON reader, over a copy from which this span is blotted out.
 */
static struct bytes text_span(struct bytes json, const char *const *path, size_t n)
{
    struct reader r     = reader_over(json);
    struct bytes  name  = { 0 };
    size_t        depth = 0, on_path = 0; /* containers around; of them, the outer ones that the path leads through */

    while (r.left.len > 0 && !r.failed) {
        uint8_t c     = take_u8(&r);
        bool    named = depth > 0 && on_path == depth && bytes_equal(name, bytes_of_text(path[on_path - 1]));

        if (c == '{' || c == '[') {
            on_path += c == '{' && (depth == 0 || (named && on_path < n));
            depth++;
            name = (struct bytes){ 0 };
        } else if (c == '}' || c == ']') {
            on_path -= depth > 0 && on_path == depth;
            depth -= depth > 0;
            name = (struct bytes){ 0 };
        } else if (c == ',') {
            name = (struct bytes){ 0 };
        } else if (c == '"') {
            struct bytes text = string_span(&r);

            if (named && on_path == n)
                return text;
            name = text;
        }
    }
    return (struct bytes){ 0 };
}

/* The document with `span`, which lies in it, left out. */
static FALLIBLE rest_read(struct bytes answer, struct bytes span, struct json_object **out, struct err *err)
{
    AUTO(buffer) struct buffer rest = { 0 };

    if (span.at) {
        buffer_append(&rest, (struct bytes){ answer.at, (size_t) (span.at - answer.at) });
        answer = (struct bytes){ span.at + span.len, answer.len - rest.len - span.len };
    }
    buffer_append(&rest, answer);
    return json_read(buffer_bytes(&rest), VAULT_ANSWER_MAX, out, err);
}

/* ---- a JSON string's inside into locked memory ---- */

static uint32_t take_hex4(struct reader *r)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t c = take_u8(r);
        int     d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

        r->failed = r->failed || d < 0;
        v         = v << 4 | (uint32_t) (d & 15);
    }
    return v;
}

static void put_utf8(struct writer *w, uint32_t c)
{
    if (c < 0x80) {
        put_u8(w, (uint8_t) c);
    } else if (c < 0x800) {
        put_u8(w, (uint8_t) (0xc0 | c >> 6));
        put_u8(w, (uint8_t) (0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        put_u8(w, (uint8_t) (0xe0 | c >> 12));
        put_u8(w, (uint8_t) (0x80 | (c >> 6 & 0x3f)));
        put_u8(w, (uint8_t) (0x80 | (c & 0x3f)));
    } else {
        put_u8(w, (uint8_t) (0xf0 | c >> 18));
        put_u8(w, (uint8_t) (0x80 | (c >> 12 & 0x3f)));
        put_u8(w, (uint8_t) (0x80 | (c >> 6 & 0x3f)));
        put_u8(w, (uint8_t) (0x80 | (c & 0x3f)));
    }
}

/* What follows a backslash. [RFC 8259 section 7] */
static void escape_put(struct reader *r, struct writer *w)
{
    static const char FROM[] = "\"\\/bfnrt", TO[] = "\"\\/\b\f\n\r\t";
    uint8_t           c  = take_u8(r);
    const char       *at = c ? strchr(FROM, c) : NULL;
    uint32_t          v;

    if (at) {
        put_u8(w, (uint8_t) TO[at - FROM]);
        return;
    }
    v = c == 'u' ? take_hex4(r) : 0;
    if (v >= 0xd800 && v < 0xdc00) { /* the first of a pair */
        bool     has_second = take_u8(r) == '\\' && take_u8(r) == 'u';
        uint32_t second     = take_hex4(r);

        v = has_second && second >= 0xdc00 && second < 0xe000 ? 0x10000 + ((v - 0xd800) << 10 | (second - 0xdc00)) : 0;
    } else if (v >= 0xdc00 && v < 0xe000) {
        v = 0;
    }
    r->failed = r->failed || v == 0;
    put_utf8(w, v);
}

static FALLIBLE text_unescape(struct bytes span, size_t most, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret room = { 0 };
    struct reader              r    = reader_over(span);
    struct writer              w;

    if (span.len == 0 || span.len > VAULT_ANSWER_MAX)
        return fail_with(err, ERR_MALFORMED, "an empty text");
    if (!secret_new(span.len, &room, err)) /* unescaped it is no longer */
        return false;
    w = writer_over(room.held, room.len);
    while (r.left.len > 0 && !r.failed) {
        uint8_t c = take_u8(&r);

        if (c == '\\')
            escape_put(&r, &w);
        else
            put_u8(&w, c);
        r.failed = r.failed || c < 0x20;
    }
    if (r.failed || w.failed || !is_utf8(writer_bytes(&w)))
        return fail_with(err, ERR_MALFORMED, "a text that is no JSON string");
    if (w.len > most)
        return fail_with(err, ERR_LIMIT, "a text of %zu bytes; at most %zu are taken", w.len, most);
    return secret_copy(writer_bytes(&w), out, err);
}

/* Standard base64 with its padding, and only what encodes to the same text again. */
static FALLIBLE base64_decode(const struct secret *text, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret decoded = { 0 }, again = { 0 };
    struct bytes               from = secret_expose(text);
    size_t                     len  = from.len / 4 * 3;

    if (!secret_new(len + 1, &decoded, err) || !secret_new(from.len + 1, &again, err))
        return false;
    if (from.len % 4 != 0 || EVP_DecodeBlock(decoded.held, from.at, (int) from.len) != (int) len) /* below VAULT_ANSWER_MAX */
        return fail_with(err, ERR_MALFORMED, "not standard base64");
    for (size_t i = 1; i <= 2 && from.at[from.len - i] == '='; i++)
        len--;
    if (len == 0 || EVP_EncodeBlock(again.held, decoded.held, (int) len) != (int) from.len ||
        CRYPTO_memcmp(again.held, from.at, from.len) != 0)
        return fail_with(err, ERR_MALFORMED, "not standard base64");
    return secret_copy((struct bytes){ decoded.held, len }, out, err);
}

/* ---- answers ---- */

/* Whether the object at data.data is there, and has this member, a text. */
static FALLIBLE inner_check(struct json_object *document, const char *name, struct err *err)
{
    struct json_object *outer, *inner;
    const char         *text;

    return json_get(document, "data", json_type_object, &outer, err) && json_get(outer, "data", json_type_object, &inner, err) &&
           json_get_text(inner, name, &text, err);
}

FALLIBLE vault_value_read(struct bytes answer, struct secret *out, struct err *err)
{
    static const char *const       VALUE[]  = { "data", "data", "value" }, *const BASE64[] = { "data", "data", "base64" };
    AUTO(json) struct json_object *document = NULL;
    AUTO(secret) struct secret     text     = { 0 };
    struct bytes                   value, base64;

    if (answer.len > VAULT_ANSWER_MAX)
        return fail_with(err, ERR_LIMIT, "an answer of more than %d bytes", VAULT_ANSWER_MAX);
    value  = text_span(answer, VALUE, 3);
    base64 = text_span(answer, BASE64, 3);
    if (value.at && base64.at)
        return fail_with(err, ERR_MALFORMED, "the secret has both \"value\" and \"base64\"; one is wanted");
    if (!value.at && !base64.at)
        return fail_with(err, ERR_MALFORMED, "the secret has neither a text \"value\" nor a text \"base64\"");
    if (!rest_read(answer, value.at ? value : base64, &document, err) ||
        !inner_check(document, value.at ? "value" : "base64", err) ||
        !text_unescape(value.at ? value : base64, value.at ? VAULT_VALUE_MAX : VAULT_ANSWER_MAX, &text, err))
        return false;
    if (value.at) {
        *out = TAKE(text);
        return true;
    }
    if (text.len > (VAULT_VALUE_MAX + 2) / 3 * 4)
        return fail_with(err, ERR_LIMIT, "a secret of more than %d bytes", VAULT_VALUE_MAX);
    return base64_decode(&text, out, err) || context(err, "\"base64\"");
}

static bool is_printable(const struct secret *text)
{
    struct bytes b = secret_expose(text);

    for (size_t i = 0; i < b.len; i++) {
        if (b.at[i] <= 0x20 || b.at[i] >= 0x7f)
            return false;
    }
    return true;
}

FALLIBLE vault_login_read(struct bytes answer, struct secret *token, uint64_t *lease_s, struct err *err)
{
    static const char *const       TOKEN[]  = { "auth", "client_token" };
    AUTO(json) struct json_object *document = NULL;
    AUTO(secret) struct secret     read     = { 0 };
    struct json_object            *auth;
    struct bytes                   span;
    const char                    *text;

    if (answer.len > VAULT_ANSWER_MAX)
        return fail_with(err, ERR_LIMIT, "an answer of more than %d bytes", VAULT_ANSWER_MAX);
    span = text_span(answer, TOKEN, 2);
    if (!rest_read(answer, span, &document, err) || !json_get(document, "auth", json_type_object, &auth, err) ||
        !json_get_text(auth, "client_token", &text, err) || !json_get_u64(auth, "lease_duration", LEASE_S_MAX, lease_s, err) ||
        !text_unescape(span, VAULT_TOKEN_MAX, &read, err))
        return context(err, "login");
    if (!is_printable(&read))
        return fail_with(err, ERR_MALFORMED, "login: a token that is no header's value");
    *token = TAKE(read);
    return true;
}

void vault_error_append(struct bytes answer, struct buffer *out)
{
    AUTO(json) struct json_object *document = NULL;
    struct json_object            *errors, *first;
    struct err                     ignored; /* without words the status speaks */

    if (!json_read(answer, VAULT_ANSWER_MAX, &document, &ignored) || !json_get(document, "errors", json_type_array, &errors, &ignored))
        return;
    first = json_object_array_get_idx(errors, 0);
    if (json_object_is_type(first, json_type_string))
        printable_append(out, bytes_of_text(json_object_get_string(first)), VAULT_ERROR_MAX);
}
