#include "guest/registry/registries.h"

#include <string.h>

static const char *text_of(struct json_object *of, const char *name)
{
    return json_has(of, name) ? json_object_get_string(json_object_object_get(of, name)) : NULL;
}

static bool flag_of(struct json_object *of, const char *name)
{
    return json_has(of, name) && json_object_get_boolean(json_object_object_get(of, name));
}

/* What a table is for: without a prefix of its own, its location. */
static const char *prefix_of(struct json_object *registry)
{
    const char *prefix = text_of(registry, "prefix");

    return prefix ? prefix : text_of(registry, "location");
}

/* HOST[:PORT][/PATH], its host as names have it: in lower case, Docker Hub's old one replaced. */
static FALLIBLE place_normalise(const char *text, struct buffer *out, struct err *err)
{
    AUTO(buffer) struct buffer name     = { 0 };
    size_t                     len      = strlen(text), host_len;
    struct image_reference     read;

    if (strstr(text, "://"))
        return fail_with(err, ERR_MALFORMED, "with a scheme; HOST[:PORT][/PATH] is wanted");
    while (len > 0 && text[len - 1] == '/')
        len--;
    host_len = strcspn(text, "/") < len ? strcspn(text, "/") : len;
    buffer_printf(&name, "%.*s%s", (int) len, text, host_len == len ? "/x" : "");
    if (!image_reference_read(buffer_bytes(&name), &read, err))
        return false;
    if (read.registry[0] == '\0')
        return fail_with(err, ERR_MALFORMED, "a host without a dot and without a port, which no name of an image has");
    if (read.has_tag || read.has_digest)
        return fail_with(err, ERR_UNSUPPORTED, "with a tag or a digest; HOST[:PORT][/PATH] is wanted");
    buffer_printf(out, "%s%.*s", read.registry, (int) (len - host_len), text + host_len);
    return true;
}

/* Or "*.HOST[:PORT]", for every host below that one. */
static FALLIBLE prefix_normalise(const char *text, struct buffer *out, struct err *err)
{
    if (strncmp(text, "*.", 2) != 0)
        return place_normalise(text, out, err);
    if (strchr(text, '/'))
        return fail_with(err, ERR_UNSUPPORTED, "a wildcard with a path; *.HOST[:PORT] is wanted");
    buffer_append_text(out, "*.");
    return place_normalise(text + 2, out, err);
}

typedef bool normalise_fn(const char *text, struct buffer *out, struct err *err);

static FALLIBLE text_check(struct json_object *of, const char *name, normalise_fn *normalise, struct err *err)
{
    AUTO(buffer) struct buffer known = { 0 };
    const char                *text;

    if (!json_has(of, name))
        return true;
    if (!json_get_text(of, name, &text, err))
        return false;
    if (strlen(text) > LOCATION_MAX)
        return fail_with(err, ERR_LIMIT, "%s: over %d bytes", name, LOCATION_MAX);
    if (!text[0])
        return fail_with(err, ERR_MALFORMED, "%s: empty", name);
    if (!normalise(text, &known, err))
        return contextf(err, "%s %.80s", name, text);
    json_add_text(of, name, buffer_text(&known));
    return true;
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

static FALLIBLE mirror_check(struct json_object *mirror, struct json_object *registry, struct err *err)
{
    static const char *const known[] = { "location", "insecure", "pull-from-mirror", NULL };
    const char              *from;

    if (!json_only(mirror, known, err) || !text_check(mirror, "location", place_normalise, err) ||
        !flag_check(mirror, "insecure", err))
        return false;
    if (!json_has(mirror, "location"))
        return fail_with(err, ERR_MALFORMED, "a mirror without a location");
    if (!json_has(mirror, "pull-from-mirror"))
        return true;
    if (!json_get_text(mirror, "pull-from-mirror", &from, err))
        return false;
    if (flag_of(registry, "mirror-by-digest-only"))
        return fail_with(err, ERR_MALFORMED, "pull-from-mirror contradicts the registry's mirror-by-digest-only");
    return strcmp(from, "all") == 0 || strcmp(from, "digest-only") == 0 || strcmp(from, "tag-only") == 0 ||
           fail_with(err, ERR_MALFORMED, "pull-from-mirror: all, digest-only or tag-only is wanted");
}

static FALLIBLE registry_check(struct json_object *registry, struct err *err)
{
    static const char *const known[] = { "prefix", "location", "insecure", "blocked", "mirror-by-digest-only", "mirror",
                                         NULL };
    struct json_object      *mirrors = NULL;
    size_t                   n;

    if (!json_only(registry, known, err) || !text_check(registry, "prefix", prefix_normalise, err) ||
        !text_check(registry, "location", place_normalise, err) || !flag_check(registry, "insecure", err) ||
        !flag_check(registry, "blocked", err) || !flag_check(registry, "mirror-by-digest-only", err) ||
        !list_of(registry, "mirror", &mirrors, &n, err))
        return false;
    if (!json_has(registry, "prefix") && !json_has(registry, "location"))
        return fail_with(err, ERR_MALFORMED, "neither prefix nor location");
    for (size_t i = 0; i < n; i++)
        if (!mirror_check(json_object_array_get_idx(mirrors, i), registry, err))
            return contextf(err, "mirror %zu", i + 1);
    return true;
}

/* Of two tables for one prefix a reader would heed either, and overlook what the other blocks. */
static FALLIBLE no_prefix_is_twice(struct json_object *list, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            const char *one = prefix_of(json_object_array_get_idx(list, i));

            if (strcmp(one, prefix_of(json_object_array_get_idx(list, j))) == 0)
                return fail_with(err, ERR_MALFORMED, "registry %zu and %zu are both of %.80s", j + 1, i + 1, one);
        }
    }
    return true;
}

static FALLIBLE search_check(struct json_object *search, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(buffer) struct buffer known = { 0 };
        struct json_object        *item  = json_object_array_get_idx(search, i);

        if (!json_object_is_type(item, json_type_string))
            return fail_with(err, ERR_MALFORMED, "unqualified-search-registries: not a text");
        const char *text = json_object_get_string(item);
        if (!place_normalise(text, &known, err))
            return contextf(err, "unqualified-search-registries: %.80s", text);
        if (strchr(buffer_text(&known), '/'))
            return fail_with(err, ERR_MALFORMED, "unqualified-search-registries: %.80s: HOST[:PORT] is wanted", text);
        (void) json_object_array_put_idx(search, i, json_object_new_string(buffer_text(&known))); /* there is one there */
    }
    return true;
}

/* What the file may say besides, told by its name: a guest has nobody to ask which of several was meant. */
static FALLIBLE names_check(struct json_object *document, size_t n_search, struct err *err)
{
    const char *mode;

    if (json_has(document, "aliases"))
        return fail_with(err, ERR_UNSUPPORTED, "short-name aliases; an image is named with its registry");
    if (json_has(document, "registries"))
        return fail_with(err, ERR_UNSUPPORTED, "version 1 of the format; [[registry]] tables are wanted");
    if (json_has(document, "credential-helpers"))
        return fail_with(err, ERR_UNSUPPORTED, "a guest has no credential helpers");
    if (!json_has(document, "short-name-mode"))
        return true;
    if (!json_get_text(document, "short-name-mode", &mode, err))
        return false;
    if (strcmp(mode, "enforcing") == 0 && n_search > 1)
        return fail_with(err, ERR_UNSUPPORTED, "short-name-mode enforcing with %zu registries to search: there is nobody to ask", n_search);
    return strcmp(mode, "enforcing") == 0 || strcmp(mode, "permissive") == 0 || strcmp(mode, "disabled") == 0 ||
           fail_with(err, ERR_MALFORMED, "short-name-mode: enforcing, permissive or disabled is wanted");
}

FALLIBLE registries_read_take(struct json_object *document_take, struct registries *out, struct err *err)
{
    static const char *const        known[]  = { "unqualified-search-registries", "registry", "short-name-mode", NULL };
    AUTO(json) struct json_object *document = document_take;
    struct json_object             *list     = NULL, *search = NULL;
    size_t                          n, n_search;

    if (!json_object_is_type(document, json_type_object))
        return fail_with(err, ERR_MALFORMED, "registries: not an object");
    if (!list_of(document, "registry", &list, &n, err) ||
        !list_of(document, "unqualified-search-registries", &search, &n_search, err) ||
        !names_check(document, n_search, err) || !json_only(document, known, err) || !search_check(search, n_search, err))
        return context(err, "registries");
    for (size_t i = 0; i < n; i++)
        if (!registry_check(json_object_array_get_idx(list, i), err))
            return contextf(err, "registries: registry %zu", i + 1);
    if (!no_prefix_is_twice(list, n, err))
        return context(err, "registries");
    out->document = TAKE(document);
    return true;
}

void registries_free(struct registries *registries)
{
    if (registries->document)
        json_object_put(registries->document);
    registries->document = NULL;
}

/*
 * How many bytes of `name` the prefix covers; 0: it does not fit. It ends where a step of the name ends. A wildcard
 * without a port stands for hosts with any.
 */
static size_t prefix_fits(const char *prefix, const char *name)
{
    size_t len = strlen(prefix);

    if (strncmp(prefix, "*.", 2) == 0) {
        size_t host_len = strcspn(name, strchr(prefix, ':') ? "/" : ":/");

        return host_len > len - 1 && strncmp(name + host_len - (len - 1), prefix + 1, len - 1) == 0 ? host_len : 0;
    }
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
        const char         *prefix   = prefix_of(registry);
        size_t              fits     = prefix_fits(prefix, name);

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
