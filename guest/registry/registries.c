#include "guest/registry/registries.h"

#include <string.h>

static FALLIBLE text_check(struct json_object *of, const char *name, struct err *err)
{
    const char *text;

    if (!json_has(of, name))
        return true;
    if (!json_get_text(of, name, &text, err))
        return false;
    if (strlen(text) > LOCATION_MAX)
        return fail_with(err, ERR_LIMIT, "%s: over %d bytes", name, LOCATION_MAX);
    return text[0] || fail_with(err, ERR_MALFORMED, "%s: empty", name);
}

static FALLIBLE flag_check(struct json_object *of, const char *name, struct err *err)
{
    struct json_object *value;

    return !json_has(of, name) || json_get(of, name, json_type_boolean, &value, err);
}

static FALLIBLE list_of(struct json_object *of, const char *name, struct json_object **out, size_t *n, struct err *err)
{
    *n = 0;
    if (!json_has(of, name))
        return true;
    if (!json_get(of, name, json_type_array, out, err))
        return false;
    *n = json_object_array_length(*out);
    return *n <= REGISTRIES_MAX || fail_with(err, ERR_LIMIT, "%s: over %d entries", name, REGISTRIES_MAX);
}

static FALLIBLE mirror_check(struct json_object *mirror, struct err *err)
{
    static const char *const known[] = { "location", "insecure", "pull-from-mirror", NULL };
    const char              *from;

    if (!json_only(mirror, known, err) || !text_check(mirror, "location", err) ||
        !flag_check(mirror, "insecure", err))
        return false;
    if (!json_has(mirror, "location"))
        return fail_with(err, ERR_MALFORMED, "a mirror without a location");
    if (!json_has(mirror, "pull-from-mirror"))
        return true;
    if (!json_get_text(mirror, "pull-from-mirror", &from, err))
        return false;
    return strcmp(from, "all") == 0 || strcmp(from, "digest-only") == 0 || strcmp(from, "tag-only") == 0 ||
           fail_with(err, ERR_MALFORMED, "pull-from-mirror: all, digest-only or tag-only is wanted");
}

static FALLIBLE registry_check(struct json_object *registry, struct err *err)
{
    static const char *const known[] = { "prefix", "location", "insecure", "blocked", "mirror-by-digest-only", "mirror",
                                         NULL };
    struct json_object      *mirrors = NULL;
    size_t                   n;

    if (!json_only(registry, known, err) || !text_check(registry, "prefix", err) ||
        !text_check(registry, "location", err) || !flag_check(registry, "insecure", err) ||
        !flag_check(registry, "blocked", err) || !flag_check(registry, "mirror-by-digest-only", err) ||
        !list_of(registry, "mirror", &mirrors, &n, err))
        return false;
    if (!json_has(registry, "prefix") && !json_has(registry, "location"))
        return fail_with(err, ERR_MALFORMED, "neither prefix nor location");
    for (size_t i = 0; i < n; i++)
        if (!mirror_check(json_object_array_get_idx(mirrors, i), err))
            return contextf(err, "mirror %zu", i + 1);
    return true;
}

FALLIBLE registries_read_take(struct json_object *document_take, struct registries *out, struct err *err)
{
    static const char *const        known[]  = { "unqualified-search-registries", "registry", NULL };
    AUTO(json) struct json_object *document = document_take;
    struct json_object             *list     = NULL, *search = NULL;
    size_t                          n, n_search;

    if (!json_only(document, known, err) || !list_of(document, "registry", &list, &n, err) ||
        !list_of(document, "unqualified-search-registries", &search, &n_search, err))
        return context(err, "registries");
    for (size_t i = 0; i < n_search; i++)
        if (!json_object_is_type(json_object_array_get_idx(search, i), json_type_string))
            return fail_with(err, ERR_MALFORMED, "registries: unqualified-search-registries: not a text");
    for (size_t i = 0; i < n; i++)
        if (!registry_check(json_object_array_get_idx(list, i), err))
            return contextf(err, "registries: registry %zu", i + 1);
    out->document = TAKE(document);
    return true;
}

void registries_free(struct registries *registries)
{
    if (registries->document)
        json_object_put(registries->document);
    registries->document = NULL;
}

static const char *text_of(struct json_object *of, const char *name)
{
    return json_has(of, name) ? json_object_get_string(json_object_object_get(of, name)) : NULL;
}

static bool flag_of(struct json_object *of, const char *name)
{
    return json_has(of, name) && json_object_get_boolean(json_object_object_get(of, name));
}

/* How many bytes of `name` the prefix covers; 0: it does not fit. It ends where a step of the name ends. */
static size_t prefix_fits(const char *prefix, const char *name)
{
    size_t len = strlen(prefix), host_len = strcspn(name, "/");

    if (strncmp(prefix, "*.", 2) == 0) /* "*.example.com" covers the whole host */
        return host_len > len - 1 && strncmp(name + host_len - (len - 1), prefix + 1, len - 1) == 0 ? host_len : 0;
    return strncmp(prefix, name, len) == 0 && (name[len] == '\0' || name[len] == '/') ? len : 0;
}

/* The table with the longest prefix that fits. */
static struct json_object *registry_for(const struct registries *registries, const char *name, size_t *covered)
{
    struct json_object *list  = registries->document ? json_object_object_get(registries->document, "registry") : NULL;
    struct json_object *found = NULL;
    size_t              best  = 0;

    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *registry = json_object_array_get_idx(list, i);
        const char         *prefix   = text_of(registry, "prefix");
        size_t              fits;

        prefix = prefix ? prefix : text_of(registry, "location");
        fits   = prefix_fits(prefix, name);
        if (fits > 0 && strlen(prefix) > best) {
            found    = registry;
            best     = strlen(prefix);
            *covered = fits;
        }
    }
    return found;
}

/* Reads "location" and what the prefix did not cover of the name as a registry and a repository. */
static FALLIBLE attempt_add(struct attempt *attempts, size_t *n, const char *location, const char *rest,
                            bool is_insecure, struct err *err)
{
    AUTO(buffer) struct buffer name = { 0 };
    struct image_reference     read;
    struct attempt            *a = &attempts[*n];

    if (*n == ATTEMPTS_MAX)
        return fail_with(err, ERR_LIMIT, "registries: over %d places for one image", ATTEMPTS_MAX);
    buffer_printf(&name, "%s%s", location, rest);
    if (!image_reference_read(buffer_bytes(&name), &read, err))
        return contextf(err, "registries: location %.80s", location);
    if (read.registry[0] == '\0' || read.has_digest || strcmp(read.tag, "latest") != 0)
        return fail_with(err, ERR_CONFIG, "registries: location %.80s: HOST[:PORT][/PATH] is wanted", location);
    memcpy(a->registry, read.registry, sizeof a->registry);
    memcpy(a->repository, read.repository, sizeof a->repository);
    a->is_insecure = is_insecure;
    (*n)++;
    return true;
}

static bool mirror_serves(struct json_object *registry, struct json_object *mirror, bool by_digest)
{
    const char *from = text_of(mirror, "pull-from-mirror");

    if (from && strcmp(from, "all") != 0)
        return by_digest == (strcmp(from, "digest-only") == 0);
    return by_digest || !flag_of(registry, "mirror-by-digest-only");
}

static FALLIBLE attempts_for(const struct registries *registries, const char *name, bool by_digest,
                             struct attempt *attempts, size_t *n, struct err *err)
{
    size_t              covered  = 0;
    struct json_object *registry = registry_for(registries, name, &covered);
    struct json_object *mirrors  = registry ? json_object_object_get(registry, "mirror") : NULL;
    const char         *location = registry ? text_of(registry, "location") : NULL;

    if (registry && flag_of(registry, "blocked"))
        return fail_with(err, ERR_DENIED, "registries: %.160s is blocked", name);
    for (size_t i = 0; mirrors && i < json_object_array_length(mirrors); i++) {
        struct json_object *mirror = json_object_array_get_idx(mirrors, i);

        if (mirror_serves(registry, mirror, by_digest) &&
            !attempt_add(attempts, n, text_of(mirror, "location"), name + covered, flag_of(mirror, "insecure"), err))
            return false;
    }
    return attempt_add(attempts, n, location ? location : name, location ? name + covered : "",
                       registry && flag_of(registry, "insecure"), err);
}

FALLIBLE registries_attempts(const struct registries *registries, const struct image_reference *reference,
                             bool by_digest, struct attempt attempts[static ATTEMPTS_MAX], size_t *n, struct err *err)
{
    struct json_object *search = registries->document ?
                                     json_object_object_get(registries->document, "unqualified-search-registries") :
                                     NULL;
    struct reference_text name = image_reference_name(reference);

    *n = 0;
    if (reference->registry[0])
        return attempts_for(registries, name.at, by_digest, attempts, n, err);
    for (size_t i = 0; search && i < json_object_array_length(search); i++) {
        AUTO(buffer) struct buffer whole = { 0 };
        struct image_reference     there;

        buffer_printf(&whole, "%s/%s", json_object_get_string(json_object_array_get_idx(search, i)), name.at);
        if (!image_reference_read(buffer_bytes(&whole), &there, err))
            return context(err, "registries: unqualified-search-registries");
        struct reference_text full = image_reference_name(&there);

        if (!attempts_for(registries, full.at, by_digest, attempts, n, err))
            return false;
    }
    return *n > 0 || fail_with(err, ERR_NOT_FOUND, "%.160s names no registry, and unqualified-search-registries has none",
                               name.at);
}
