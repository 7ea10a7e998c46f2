#include "guest/registry/challenge.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"

static bool is_token_char(uint8_t c)
{
    return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static void skip_spaces(struct bytes *left)
{
    while (left->len > 0 && (*left->at == ' ' || *left->at == '\t'))
        *left = (struct bytes){ left->at + 1, left->len - 1 };
}

static struct bytes token_of(struct bytes *left)
{
    struct bytes token = { left->at, 0 };

    while (token.len < left->len && is_token_char(left->at[token.len]))
        token.len++;
    *left = (struct bytes){ left->at + token.len, left->len - token.len };
    return token;
}

static bool skip_char(struct bytes *left, char c)
{
    if (left->len == 0 || *left->at != (uint8_t) c)
        return false;
    *left = (struct bytes){ left->at + 1, left->len - 1 };
    return true;
}

/* A quoted text, its escapes undone, or a token. */
static FALLIBLE value_read(struct bytes *left, struct buffer *out, struct err *err)
{
    if (!skip_char(left, '"')) {
        struct bytes token = token_of(left);

        buffer_append(out, token);
        return token.len > 0 || fail_with(err, ERR_MALFORMED, "challenge: a parameter without a value");
    }
    while (left->len > 0 && *left->at != '"') {
        (void) (*left->at == '\\' && left->len > 1 && skip_char(left, '\\'));
        if (*left->at < ' ' || *left->at >= 0x7f)
            return fail_with(err, ERR_MALFORMED, "challenge: a byte that is no text");
        buffer_append(out, (struct bytes){ left->at, 1 });
        *left = (struct bytes){ left->at + 1, left->len - 1 };
    }
    return skip_char(left, '"') || fail_with(err, ERR_MALFORMED, "challenge: a quote that does not end");
}

static FALLIBLE keep(const char *name, struct buffer *value, char *out, size_t most, struct err *err)
{
    if (value->len > most)
        return fail_with(err, ERR_LIMIT, "challenge: %s of %zu bytes", name, value->len);
    if (out[0] != '\0')
        return fail_with(err, ERR_MALFORMED, "challenge: %s twice", name);
    memcpy(out, buffer_text(value), value->len + 1);
    return true;
}

static bool is_word(struct bytes word, const char *wanted)
{
    return word.len == strlen(wanted) && strncasecmp((const char *) word.at, wanted, word.len) == 0;
}

static FALLIBLE parameter_read(struct bytes *left, struct bytes name, struct challenge *c, struct err *err)
{
    AUTO(buffer) struct buffer value = { 0 };

    skip_spaces(left);
    if (!value_read(left, &value, err))
        return false;
    if (is_word(name, "realm"))
        return keep("realm", &value, c->realm, CHALLENGE_REALM_MAX, err);
    return !is_word(name, "service") || keep("service", &value, c->service, CHALLENGE_SERVICE_MAX, err);
}

static enum challenge_scheme scheme_of(struct bytes word)
{
    return is_word(word, "Bearer") ? CHALLENGE_BEARER : is_word(word, "Basic") ? CHALLENGE_BASIC : CHALLENGE_NONE;
}

/* The padding of what schemes that we do not speak send in place of parameters: "Negotiate YII=". */
static bool token68_skip(struct bytes *left)
{
    struct bytes after = *left;

    while (skip_char(&after, '='))
        ;
    if (after.len == left->len || (after.len > 0 && *after.at != ','))
        return false;
    *left = after;
    return true;
}

/* Either the next parameter of `current`, or the name of a new scheme. */
static FALLIBLE item_read(struct bytes *left, struct challenge *current, struct challenge *best, struct err *err)
{
    struct bytes word = token_of(left);

    if (word.len == 0)
        return fail_with(err, ERR_MALFORMED, "challenge: a name is wanted");
    skip_spaces(left);
    if (current->scheme == CHALLENGE_NONE && token68_skip(left))
        return true;
    if (skip_char(left, '='))
        return parameter_read(left, word, current, err);
    if (current->scheme > best->scheme)
        *best = *current;
    *current = (struct challenge){ .scheme = scheme_of(word) };
    return true;
}

FALLIBLE challenge_read(struct bytes header, struct challenge *out, struct err *err)
{
    struct challenge current = { 0 }, best = { 0 };

    if (header.len > CHALLENGE_TEXT_MAX)
        return fail_with(err, ERR_LIMIT, "challenge: %zu bytes", header.len);
    for (;;) {
        do
            skip_spaces(&header);
        while (skip_char(&header, ','));
        if (header.len == 0)
            break;
        if (!item_read(&header, &current, &best, err))
            return false;
    }
    if (current.scheme > best.scheme)
        best = current;
    if (best.scheme == CHALLENGE_NONE)
        return fail_with(err, ERR_UNSUPPORTED, "challenge: neither Bearer nor Basic");
    if (best.scheme == CHALLENGE_BEARER && best.realm[0] == '\0')
        return fail_with(err, ERR_MALFORMED, "challenge: Bearer without a realm");
    *out = best;
    return true;
}

FALLIBLE token_answer_read(struct bytes json, struct buffer *token, struct err *err)
{
    AUTO(wiped_json) struct json_object *document = NULL;
    const char                          *text;
    struct err                           unheard; /* there are two names for it */

    if (!json_read_wiped(json, TOKEN_ANSWER_MAX, &document, err))
        return context(err, "token service");
    if (!json_get_text(document, "token", &text, &unheard) && !json_get_text(document, "access_token", &text, err))
        return context(err, "token service");
    size_t len = strlen(text);

    if (len == 0 || len > TOKEN_MAX)
        return fail_with(err, ERR_LIMIT, "token service: a token of %zu bytes", len);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return fail_with(err, ERR_MALFORMED, "token service: a token with a byte that no header may hold");
    buffer_append_text(token, text);
    return true;
}
