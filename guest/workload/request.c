#include "guest/workload/request.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define RESOURCE_PREFIX "/cdh/resource/"

/* Of a resource's three names: what a broker takes as one. Nothing that a URL has to escape. [KBS 5] */
static bool is_name(const char *at, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    if (len == 0 || at[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr(letters, at[i]))
            return false;
    return true;
}

static FALLIBLE read_resource(const char *path, struct workload_request *out, struct err *err)
{
    const char *at = path + strlen(RESOURCE_PREFIX);
    size_t      n  = 0;

    for (const char *name = at;; n++) {
        size_t len = strcspn(name, "/");

        if (!is_name(name, len))
            return fail_with(err, ERR_MALFORMED, "a resource is REPOSITORY/TYPE/TAG, of letters, digits, -, _ and .");
        if (name[len] == 0)
            break;
        name += len + 1;
    }
    if (n != 2)
        return fail_with(err, ERR_MALFORMED, "a resource has three names: REPOSITORY/TYPE/TAG");
    out->kind = WORKLOAD_RESOURCE;
    (void) snprintf(out->resource, sizeof out->resource, "kbs:///%s", at); /* the path's length was checked */
    return true;
}

static FALLIBLE read_token(const struct workload_query *query, struct workload_request *out, struct err *err)
{
    if (!query->token_type)
        return fail_with(err, ERR_MALFORMED, "token_type is missing");
    if (strcmp(query->token_type, "kbs") != 0)
        return fail_with(err, ERR_UNSUPPORTED, "token_type: only kbs; a coco_as token is bound to no key and no nonce");
    out->kind = WORKLOAD_TOKEN;
    return true;
}

static FALLIBLE read_evidence(const struct workload_query *query, enum workload_kind kind, struct workload_request *out, struct err *err)
{
    AUTO(buffer) struct buffer data = { 0 };

    if (!query->runtime_data)
        return fail_with(err, ERR_MALFORMED, "runtime_data is missing");
    if (query->encoding && strcmp(query->encoding, "base64") != 0)
        return fail_with(err, ERR_MALFORMED, "encoding: only base64 (URL-safe, no padding)");
    if (strnlen(query->runtime_data, WORKLOAD_PATH_MAX + 1) > WORKLOAD_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "runtime_data: over %d bytes", RUNTIME_DATA_MAX);
    if (!query->encoding)
        buffer_append_text(&data, query->runtime_data);
    else if (!base64_read(bytes_of_text(query->runtime_data), BASE64_URL, &data, err))
        return context(err, "runtime_data");
    if (data.len > RUNTIME_DATA_MAX)
        return fail_with(err, ERR_LIMIT, "runtime_data: over %d bytes", RUNTIME_DATA_MAX);
    if (data.len > 0)
        memcpy(out->runtime_data, data.at, data.len);
    out->runtime_data_len = data.len;
    out->kind             = kind;
    return true;
}

static FALLIBLE copy_member(struct json_object *from, const char *name, char *out, size_t most, struct err *err)
{
    const char *text;

    if (!json_get_text(from, name, &text, err))
        return false;
    if (strlen(text) > most)
        return fail_with(err, ERR_LIMIT, "%s: over %zu bytes", name, most);
    (void) snprintf(out, most + 1, "%s", text); /* it fits */
    return true;
}

/* {"domain":..,"operation":..,"content":..}; other members are passed over. */
static FALLIBLE read_event(struct bytes body, struct workload_request *out, struct err *err)
{
    AUTO(json) struct json_object *event = NULL;

    out->kind = WORKLOAD_MEASURE;
    return (json_read(body, WORKLOAD_BODY_MAX, &event, err) &&
            copy_member(event, "domain", out->domain, EVENT_WORD_MAX, err) &&
            copy_member(event, "operation", out->operation, EVENT_WORD_MAX, err) &&
            copy_member(event, "content", out->content, EVENT_CONTENT_MAX, err)) ||
           context(err, "event");
}

const char *workload_method_of(const char *path) { return strcmp(path, "/aa/aael") == 0 ? "POST" : "GET"; }

FALLIBLE workload_request_read(const char *method, const char *path, const struct workload_query *query,
                               struct bytes body, struct workload_request *out, struct err *err)
{
    struct workload_request read = { .kind = WORKLOAD_INFO };
    bool                    ok;

    if (strnlen(path, WORKLOAD_PATH_MAX + 1) > WORKLOAD_PATH_MAX)
        return fail_with(err, ERR_LIMIT, "a path of over %d bytes", WORKLOAD_PATH_MAX);
    if (strcmp(method, workload_method_of(path)) != 0)
        return fail_with(err, ERR_UNSUPPORTED, "only %s", workload_method_of(path));
    if (strcmp(path, "/aa/aael") == 0)
        ok = read_event(body, &read, err);
    else if (strncmp(path, RESOURCE_PREFIX, strlen(RESOURCE_PREFIX)) == 0)
        ok = read_resource(path, &read, err);
    else if (strcmp(path, "/aa/token") == 0)
        ok = read_token(query, &read, err);
    else if (strcmp(path, "/aa/evidence") == 0)
        ok = read_evidence(query, WORKLOAD_EVIDENCE, &read, err);
    else if (strcmp(path, "/aa/additional-evidence") == 0)
        ok = read_evidence(query, WORKLOAD_DEVICES, &read, err);
    else if (strcmp(path, "/aa/eventlog") == 0)
        ok = read_evidence(query, WORKLOAD_EVENTS, &read, err);
    else
        ok = strcmp(path, "/info") == 0 || fail_with(err, ERR_NOT_FOUND, "URL NOT FOUND");
    if (ok)
        *out = read;
    return ok;
}
