#include "tests/conformance/transcript.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "keys/api/limits.h"

enum { SHOWN_MAX = 4000 };

/* Random, or made of what is random, or a time. */
static const char *const MASKED[] = { "nonce", "token", "x", "y", "n", "protected", "encrypted_key", "iv", "ciphertext", "tag",
                                      "report_data", "x5c", "iat", "exp", "cloister.evidence" };

static bool is_masked(const char *name)
{
    for (size_t i = 0; i < sizeof MASKED / sizeof *MASKED; i++) {
        if (strcmp(MASKED[i], name) == 0)
            return true;
    }
    return false;
}

/* A copy with the masks on. */
static struct json_object *masked(struct json_object *from)
{
    struct json_object *to;

    if (json_object_is_type(from, json_type_array)) {
        to = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(from); i++)
            (void) json_object_array_add(to, masked(json_object_array_get_idx(from, i))); /* fails without memory */
        return to;
    }
    if (!json_object_is_type(from, json_type_object))
        return json_object_get(from);
    to = json_object_new_object();
    json_object_object_foreach(from, name, value)
    {
        char mask[64];

        (void) snprintf(mask, sizeof mask, "<%s>", name); /* a name of MASKED fits */
        json_add(to, name, is_masked(name) ? json_object_new_string(mask) : masked(value));
    }
    return to;
}

static void line_write(FILE *to, const char *label, struct bytes text)
{
    AUTO(json) struct json_object *read = NULL, *shown = NULL;
    AUTO(buffer) struct buffer     line = { 0 };
    struct err                     err;

    if (text.len == 0)
        return;
    if (json_read(text, KBS_ANSWER_MAX, &read, &err)) {
        shown = masked(read);
        json_write(shown, &line);
    } else {
        printable_append(&line, text, SHOWN_MAX);
    }
    fprintf(to, "%s%.*s\n", label, SHOWN_MAX, buffer_text(&line));
}

/* A part of base64url text, up to the next dot or the end, decoded. */
static void part_write(FILE *to, const char *label, const char *at)
{
    AUTO(buffer) struct buffer decoded = { 0 };
    struct err                 err;

    if (base64_read((struct bytes){ (const uint8_t *) at, strcspn(at, ".") }, BASE64_URL, &decoded, &err))
        line_write(to, label, buffer_bytes(&decoded));
}

static void inside_write(FILE *to, struct bytes body)
{
    AUTO(json) struct json_object *read = NULL;
    const char                    *text;
    struct err                     err;

    if (!json_read(body, KBS_ANSWER_MAX, &read, &err))
        return;
    if (json_get_text(read, "token", &text, &err) && strchr(text, '.')) {
        part_write(to, "<   token header  ", text);
        part_write(to, "<   token payload ", strchr(text, '.') + 1);
    }
    if (json_get_text(read, "protected", &text, &err))
        part_write(to, "<   protected     ", text);
}

void transcript_write(FILE *to, const struct http_request *request, const struct http_answer *answer)
{
    fprintf(to, "> %s %s%s%s\n", request->method, request->path, request->cookie ? ", with the session's cookie" : "",
            request->bearer ? ", with a token" : "");
    if (request->body.len <= SHOWN_MAX)
        line_write(to, "> ", request->body);
    else
        fprintf(to, "> %zu bytes\n", request->body.len);
    fprintf(to, "< %ld%s%s%s\n", answer->status, answer->content_type[0] ? ", " : "", answer->content_type,
            answer->cookie[0] ? ", sets the session's cookie" : "");
    if (strncmp(answer->content_type, "text/", 5) != 0) /* those are for people to read */
        line_write(to, "< ", buffer_bytes(&answer->body));
    inside_write(to, buffer_bytes(&answer->body));
    fprintf(to, "\n");
}
