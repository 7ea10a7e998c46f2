#include "guest/container/policy.h"

#include <string.h>

#include "guest/container/limits.h"

static FALLIBLE check_texts(struct json_object *list, const char *name, struct err *err)
{
    size_t n = json_object_array_length(list);

    if (n > CONTAINER_ARGS_MAX)
        return fail_with(err, ERR_LIMIT, "%s: over %d entries", name, CONTAINER_ARGS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!json_object_is_type(json_object_array_get_idx(list, i), json_type_string))
            return fail_with(err, ERR_MALFORMED, "%s: entry %zu is not a string", name, i);
    return true;
}

static FALLIBLE check_members(struct json_object *of, const char *const *known, size_t n_known, struct err *err)
{
    json_object_object_foreach(of, name, value) {
        bool is_known = false;

        (void) value;
        for (size_t i = 0; i < n_known; i++)
            is_known |= strcmp(name, known[i]) == 0;
        if (!is_known)
            return fail_with(err, ERR_MALFORMED, "unknown member \"%.40s\"", name);
    }
    return true;
}

static FALLIBLE check_flag(struct json_object *entry, const char *name, struct err *err)
{
    struct json_object *value;

    if (!json_object_object_get_ex(entry, name, &value) || json_object_is_type(value, json_type_boolean))
        return true;
    return fail_with(err, ERR_MALFORMED, "%s: not a boolean", name);
}

static FALLIBLE check_image(const char *image, struct err *err)
{
    static const char prefix[] = "sha256:";

    if (strncmp(image, prefix, sizeof prefix - 1) == 0 && strlen(image) == sizeof prefix - 1 + 64 &&
        strspn(image + sizeof prefix - 1, "0123456789abcdef") == 64)
        return true;
    return fail_with(err, ERR_MALFORMED, "image: not \"sha256:\" and 64 hex digits");
}

static FALLIBLE check_entry(struct json_object *entry, struct err *err)
{
    static const char *const known[] = { "image", "args", "env", "output", "input" };
    struct json_object      *args = NULL, *env = NULL;
    const char              *image;

    if (!json_object_is_type(entry, json_type_object))
        return fail_with(err, ERR_MALFORMED, "not an object");
    if (!check_members(entry, known, sizeof known / sizeof *known, err) ||
        !json_get_text(entry, "image", &image, err) || !check_image(image, err))
        return false;
    if (!json_object_object_get_ex(entry, "args", &args))
        return fail_with(err, ERR_MALFORMED, "args: missing; null is the image's own command");
    if (args && (!json_get(entry, "args", json_type_array, &args, err) || !check_texts(args, "args", err)))
        return false;
    return json_get(entry, "env", json_type_array, &env, err) && check_texts(env, "env", err) &&
           check_flag(entry, "output", err) && check_flag(entry, "input", err);
}

FALLIBLE policy_read(struct bytes text, struct policy *out, struct err *err)
{
    static const char *const        known[]  = { "containers", "network" };
    AUTO(json) struct json_object *document = NULL;
    struct json_object             *list     = NULL;

    if (!json_read(text, POLICY_LEN_MAX, &document, err) ||
        !json_get(document, "containers", json_type_array, &list, err) || !check_members(document, known, 2, err) ||
        !check_flag(document, "network", err))
        return context(err, "policy.json");
    size_t n = json_object_array_length(list);
    if (n > POLICY_CONTAINERS_MAX)
        return fail_with(err, ERR_LIMIT, "policy.json: over %d containers", POLICY_CONTAINERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!check_entry(json_object_array_get_idx(list, i), err))
            return contextf(err, "policy.json: container %zu", i);
    out->document = TAKE(document);
    return true;
}

void policy_free(struct policy *policy)
{
    if (policy->document)
        json_object_put(policy->document);
    policy->document = NULL;
}

/* Texts of json-c may hold zeros; a request's cannot. Lengths are compared too. */
static bool equal_texts(struct json_object *list, char *const *asked, size_t n_asked)
{
    if (json_object_array_length(list) != n_asked)
        return false;
    for (size_t i = 0; i < n_asked; i++) {
        struct json_object *text = json_object_array_get_idx(list, i);
        struct bytes        want = { (const uint8_t *) json_object_get_string(text),
                                     (size_t) json_object_get_string_len(text) };

        if (!bytes_equal(want, bytes_of_text(asked[i])))
            return false;
    }
    return true;
}

/* NULL when the request equals the entry; else the first field that differs. */
static const char *difference(struct json_object *entry, const struct policy_request *request)
{
    struct json_object *args = json_object_object_get(entry, "args");

    if (strcmp(json_object_get_string(json_object_object_get(entry, "image")), request->image_digest) != 0)
        return "image";
    if (args ? !equal_texts(args, request->args, request->n_args) : request->n_args > 0)
        return "args";
    if (!equal_texts(json_object_object_get(entry, "env"), request->env, request->n_env))
        return "env";
    return NULL;
}

/* A later field that differs means a nearer entry. */
static int nearness(const char *field)
{
    return strcmp(field, "env") == 0 ? 2 : strcmp(field, "args") == 0;
}

FALLIBLE policy_allow_network(const struct policy *policy, struct err *err)
{
    if (policy->document && json_object_get_boolean(json_object_object_get(policy->document, "network")))
        return true;
    return fail_with(err, ERR_DENIED, "policy allows no network");
}

FALLIBLE policy_allow_create(const struct policy *policy, const struct policy_request *request,
                             struct policy_grant *out, struct err *err)
{
    struct json_object *list    = policy->document ? json_object_object_get(policy->document, "containers") : NULL;
    const char         *nearest = "image";

    if (!list)
        return fail_with(err, ERR_DENIED, "the initdata has no policy.json: no container may run");
    if (request->terminal)
        return fail_with(err, ERR_DENIED, "policy allows no terminal");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        const char         *field = difference(entry, request);

        if (!field) {
            *out = (struct policy_grant){
                .output = json_object_get_boolean(json_object_object_get(entry, "output")),
                .input  = json_object_get_boolean(json_object_object_get(entry, "input")),
            };
            return true;
        }
        if (nearness(field) > nearness(nearest))
            nearest = field;
    }
    return fail_with(err, ERR_DENIED, "policy allows no container with this %s", nearest);
}
