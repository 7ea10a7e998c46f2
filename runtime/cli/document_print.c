#include "runtime/cli/document_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

enum { SHOWN_MAX = 1 << 20 };

static FALLIBLE date_write(uint64_t at, const char *when_zero, char out[static 32], struct err *err)
{
    time_t    seconds = (time_t) at;
    struct tm tm;

    if (at == 0)
        (void) snprintf(out, 32, "%s", when_zero); /* fits */
    else if (!gmtime_r(&seconds, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return fail_with(err, ERR_MALFORMED, "a date out of range");
    return true;
}

/* Line by line, escaped: a text may hold what a terminal obeys. */
static void text_print(const char *text)
{
    while (*text) {
        AUTO(buffer) struct buffer shown = { 0 };
        size_t                     len   = strcspn(text, "\n");

        printable_append(&shown, (struct bytes){ (const uint8_t *) text, len }, SHOWN_MAX);
        printf("    %s\n", buffer_text(&shown));
        text += len + (text[len] == '\n');
    }
}

static FALLIBLE document_print(struct json_object *one, bool with_text, struct err *err)
{
    AUTO(buffer) struct buffer shown_name = { 0 }, shown_by = { 0 };
    const char                *name, *by, *text = NULL;
    uint64_t                   version, changed, expires;
    char                       when[32], until[32];

    if (!json_get_text(one, "name", &name, err) || !json_get_u64(one, "version", INT64_MAX, &version, err) ||
        !json_get_u64(one, "changed", INT64_MAX, &changed, err) || !json_get_u64(one, "expires", INT64_MAX, &expires, err) ||
        !json_get_text(one, "by", &by, err) || (json_has(one, "text") && !json_get_text(one, "text", &text, err)) ||
        !date_write(changed, "?", when, err) || !date_write(expires, "", until, err))
        return context(err, "the broker's list");
    printable_append(&shown_name, bytes_of_text(name), 400);
    printable_append(&shown_by, bytes_of_text(by), 64);
    printf("%s  version %" PRIu64 "  %s  by %s%s%s%s\n", buffer_text(&shown_name), version, when, buffer_text(&shown_by),
           until[0] ? "  until " : "", until, text ? "" : "  removed");
    if (with_text && text)
        text_print(text);
    return true;
}

FALLIBLE documents_print(struct json_object *list, bool as_json, bool with_text, struct err *err)
{
    if (as_json) {
        AUTO(buffer) struct buffer text = { 0 };

        json_write(list, &text);
        (void) puts(buffer_text(&text)); /* a closed output is noticed by main's flush */
        return true;
    }
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        if (!document_print(json_object_array_get_idx(list, i), with_text, err))
            return false;
    }
    return true;
}
