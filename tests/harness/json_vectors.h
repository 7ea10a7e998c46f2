/* Committed vectors: files below tests/vectors, whole or as JSON. */
#pragma once

#include <stdio.h>

#include "base/file.h"
#include "base/json.h"
#include "tests/harness/test.h"

static inline void vector_read(const char *name, struct buffer *out)
{
    const char *source = getenv("CLOISTER_SOURCE");
    char        path[4096];
    struct err  err;

    assert_non_null(source);
    (void) snprintf(path, sizeof path, "%s/tests/vectors/%s", source, name); /* a cut path fails to open */
    if (!file_read(path, 16 << 20, out, &err))
        fail_msg("%s", err.text);
}

static inline struct json_object *vector_json(const char *name)
{
    AUTO(buffer) struct buffer text = { 0 };
    struct json_object        *out  = NULL;
    struct err                 err;

    vector_read(name, &text);
    if (!json_read(buffer_bytes(&text), text.len, &out, &err))
        fail_msg("%s: %s", name, err.text);
    return out;
}

static inline const char *member_text(struct json_object *from, const char *name)
{
    const char *out = NULL;
    struct err  err;

    if (!json_get_text(from, name, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static inline struct json_object *member_of(struct json_object *from, const char *name)
{
    struct json_object *out = json_object_object_get(from, name);

    if (!out)
        fail_msg("no member %s", name);
    return out;
}
