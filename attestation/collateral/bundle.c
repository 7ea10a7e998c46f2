#include "attestation/collateral/bundle.h"

struct bundle {
    struct answer *answers;
    size_t         n;
};

void bundle_free(struct bundle *bundle)
{
    if (!bundle)
        return;
    for (size_t i = 0; i < bundle->n; i++)
        answer_free(&bundle->answers[i]);
    free(bundle->answers);
    free(bundle);
}

const struct answer *bundle_find(const struct bundle *bundle, const char *url)
{
    for (size_t i = 0; i < bundle->n; i++)
        if (bytes_equal(buffer_bytes(&bundle->answers[i].url), bytes_of_text(url)))
            return &bundle->answers[i];
    return NULL;
}

/* Two answers to one question would make the order of the file matter. */
static FALLIBLE answers_read(struct json_object *list, struct bundle *bundle, struct err *err)
{
    size_t n = json_object_array_length(list);

    if (n > BUNDLE_ANSWERS_MAX)
        return fail_with(err, ERR_LIMIT, "%zu answers; at most %d are allowed", n, BUNDLE_ANSWERS_MAX);
    bundle->answers = zeroed(n + 1, sizeof *bundle->answers);
    for (size_t i = 0; i < n; i++) {
        AUTO(answer) struct answer one = { 0 };

        if (!answer_from_json(json_object_array_get_idx(list, i), &one, err))
            return contextf(err, "answer %zu", i);
        if (bundle_find(bundle, buffer_text(&one.url)))
            return fail_with(err, ERR_MALFORMED, "answer %zu: its url is answered before", i);
        bundle->answers[bundle->n++] = TAKE(one);
    }
    return true;
}

FALLIBLE bundle_read(struct bytes text, struct bundle **out, struct err *err)
{
    AUTO(bundle) struct bundle    *bundle = zeroed(1, sizeof *bundle);
    AUTO(json) struct json_object *all    = NULL;
    struct json_object            *list   = NULL;
    uint64_t                       format = 0;

    if (!json_read(text, BUNDLE_LEN_MAX, &all, err) ||
        !json_get_u64(all, "cloister_collateral", UINT32_MAX, &format, err))
        return context(err, "collateral bundle");
    if (format != BUNDLE_FORMAT)
        return fail_with(err, ERR_UNSUPPORTED, "collateral bundle: format %llu, wanted %d", (unsigned long long) format,
                         BUNDLE_FORMAT);
    if (!json_get(all, "answers", json_type_array, &list, err) || !answers_read(list, bundle, err))
        return context(err, "collateral bundle");
    *out = TAKE(bundle);
    return true;
}

void bundle_write(const struct answer *answers, size_t n, struct buffer *out)
{
    AUTO(json) struct json_object *all  = json_object_new_object();
    struct json_object            *list = json_object_new_array();

    json_add(all, "cloister_collateral", json_object_new_int(BUNDLE_FORMAT));
    for (size_t i = 0; i < n; i++)
        (void) json_object_array_add(list, answer_to_json(&answers[i])); /* fails only without memory */
    json_add(all, "answers", list);
    json_write(all, out);
}
