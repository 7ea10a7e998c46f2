/* What a container asks over HTTP, read into a typed question. [CoCo guest-components, api-server-rest] */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

enum {
    WORKLOAD_PATH_MAX = 512, /* bytes of a path, and of a query's value: longer names no resource */
    RUNTIME_DATA_MAX  = 256, /* bytes: a digest and some context */
    EVENT_WORD_MAX    = 128, /* bytes of an event's domain and operation; less may be allowed where it is logged */
    EVENT_CONTENT_MAX = 4096,
    WORKLOAD_BODY_MAX = 16 << 10, /* bytes of what is posted: such a content, escaped */
};

enum workload_kind { WORKLOAD_RESOURCE, WORKLOAD_TOKEN, WORKLOAD_EVIDENCE, WORKLOAD_INFO, WORKLOAD_EVENTS, WORKLOAD_MEASURE, WORKLOAD_DEVICES };

struct workload_request {
    enum workload_kind kind;
    char               resource[WORKLOAD_PATH_MAX + 8]; /* "kbs:///REPOSITORY/TYPE/TAG" */
    uint8_t            runtime_data[RUNTIME_DATA_MAX];
    size_t             runtime_data_len;
    char               domain[EVENT_WORD_MAX + 1], operation[EVENT_WORD_MAX + 1], content[EVENT_CONTENT_MAX + 1];
};

/* The query as the HTTP library split and decoded it; a member that is not there is NULL. */
struct workload_query {
    const char *token_type, *runtime_data, *encoding;
};

/* The one method that a path has. */
const char *workload_method_of(const char *path);

/*
 * Reads a request line's path, undecoded, its query, and what was posted.
 *
 * Fails NOT_FOUND for a path that is none of ours, UNSUPPORTED for what we do not do, MALFORMED for what is missing or
 * has another form, LIMIT.
 */
FALLIBLE workload_request_read(const char *method, const char *path, const struct workload_query *query,
                               struct bytes body, struct workload_request *out, struct err *err);
