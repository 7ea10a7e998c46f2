#include "guest/registry/credentials.h"

#include <string.h>

#include "base/text.h"

static FALLIBLE entry_check(struct json_object *entry, struct err *err)
{
    AUTO(buffer) struct buffer plain = { 0 };
    const char                *auth;

    if (!json_object_is_type(entry, json_type_object))
        return fail_with(err, ERR_MALFORMED, "not an object");
    if (json_has(entry, "identitytoken"))
        return fail_with(err, ERR_UNSUPPORTED, "an identity token; \"auth\" is wanted");
    if (!json_has(entry, "auth"))
        return fail_with(err, ERR_UNSUPPORTED, "no \"auth\": a guest has no credential helpers");
    if (!json_get_text(entry, "auth", &auth, err) ||
        !base64_read(bytes_of_text(auth), BASE64_STANDARD, &plain, err))
        return context(err, "auth");
    if (plain.len > CREDENTIAL_MAX)
        return fail_with(err, ERR_LIMIT, "auth: %zu bytes", plain.len);
    if (!memchr(plain.at, ':', plain.len) || memchr(plain.at, '\0', plain.len))
        return fail_with(err, ERR_MALFORMED, "auth: USER:PASSWORD is wanted");
    return true;
}

FALLIBLE credentials_read(struct bytes json, struct credentials *out, struct err *err)
{
    AUTO(wiped_json) struct json_object *document = NULL;
    struct json_object                  *auths    = NULL;

    if (!json_read(json, CREDENTIALS_MAX, &document, err) ||
        !json_get(document, "auths", json_type_object, &auths, err))
        return context(err, "credentials");
    if (json_has(document, "credHelpers") || json_has(document, "credsStore"))
        return fail_with(err, ERR_UNSUPPORTED, "credentials: a guest has no credential helpers");
    json_object_object_foreach(auths, name, entry)
        if (!entry_check(entry, err))
            return contextf(err, "credentials: %.80s", name);
    out->document = TAKE(document);
    return true;
}

/* What is compared of an entry's name. Docker Hub has three names in such files. */
static void normalise(const char *name, struct buffer *out)
{
    const char *scheme = strstr(name, "://");
    size_t      len;

    name = scheme ? scheme + 3 : name;
    len  = strlen(name);
    while (len > 0 && name[len - 1] == '/')
        len--;
    if (len > 3 && (strncmp(name + len - 3, "/v1", 3) == 0 || strncmp(name + len - 3, "/v2", 3) == 0))
        len -= 3;
    size_t host_len = strcspn(name, "/");

    if (len == host_len && ((len == 15 && strncmp(name, "index.docker.io", len) == 0) ||
                            (len == 20 && strncmp(name, "registry-1.docker.io", len) == 0)))
        buffer_append_text(out, "docker.io");
    else
        buffer_append(out, (struct bytes){ (const uint8_t *) name, len });
}

static struct json_object *entry_named(struct json_object *auths, struct bytes wanted)
{
    json_object_object_foreach(auths, name, entry) {
        AUTO(buffer) struct buffer known = { 0 };

        normalise(name, &known);
        if (bytes_equal(buffer_bytes(&known), wanted))
            return entry;
    }
    return NULL;
}

void credentials_find(const struct credentials *credentials, const char *registry, const char *repository,
                      struct buffer *out)
{
    struct json_object        *auths = credentials->document ?
                                           json_object_object_get(credentials->document, "auths") : NULL;
    struct json_object        *entry = NULL;
    AUTO(buffer) struct buffer scope = { 0 };
    struct err                 unheard; /* it was read when it was checked */

    if (!auths)
        return;
    buffer_printf(&scope, "%s/%s", registry, repository);
    while (!entry && scope.len > 0) {
        entry = entry_named(auths, buffer_bytes(&scope));
        const char *text  = buffer_text(&scope);
        const char *slash = strrchr(text, '/');

        scope.len = slash ? (size_t) (slash - text) : 0;
    }
    if (entry && !base64_read(bytes_of_text(json_object_get_string(json_object_object_get(entry, "auth"))),
                              BASE64_STANDARD, out, &unheard))
        out->len = 0;
}

void credentials_free(struct credentials *credentials)
{
    json_wipe(TAKE(credentials->document));
}
